"""A TCP proxy whose network can be cut: one door for each worker, one for the producers.

    python -m tests.chaos.proxy TARGET_PORT DOOR_PORT…

Reads commands from stdin and answers each with a line on stdout: ``cut DOOR`` resets its connections, ``blackhole
DOOR`` keeps them and lets nothing through, ``slow DOOR`` delays all that is sent, ``heal DOOR``, ``target PORT``; DOOR
is a number from 0, or ``all``.
"""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from tests.chaos.child import die_with_parent
from tests.chaos.cluster import HOST, free_port

CHUNK_BYTES = 65_536
LATENCY_SECONDS = 0.05
"""What each message takes longer, in each direction, where the network is slow."""


class Door:
    """A port that leads to the target."""

    def __init__(self, proxy: "Relay") -> None:
        self._proxy = proxy
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._latency = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one client and the server say to each other."""
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            answers, there = await asyncio.open_connection(HOST, self._proxy.target)
            self._writers.add(there)
            _, waiting = await asyncio.wait(
                [
                    asyncio.create_task(self._pump(reader, there)),
                    asyncio.create_task(self._pump(answers, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        except OSError:
            self._reset(writer)
        finally:
            for end in filter(None, (writer, there)):
                self._writers.discard(end)
                end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK_BYTES):
                if self._latency:
                    await asyncio.sleep(self._latency)
                await self._open.wait()
                sink.write(data)
                await sink.drain()

    def cut(self) -> None:
        for writer in list(self._writers):
            self._reset(writer)

    def blackhole(self) -> None:
        self._open.clear()

    def slow(self) -> None:
        self._latency = LATENCY_SECONDS

    def heal(self) -> None:
        self._latency = 0.0
        self._open.set()

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


class Relay:
    """All doors."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.doors: list[Door] = []

    async def open(self, ports: list[int]) -> None:
        for port in ports:
            door = Door(self)
            self.doors.append(door)
            await asyncio.start_server(door.serve, HOST, port)

    def obey(self, command: str) -> None:
        verb, which = command.split()
        if verb == "target":
            self.target = int(which)
            return
        for door in self.doors if which == "all" else [self.doors[int(which)]]:
            getattr(door, verb)()


async def main(target: int, ports: list[int]) -> None:
    """Serve until stdin ends."""
    relay = Relay(target)
    await relay.open(ports)
    _say("ready")
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    pending = b""

    def on_input() -> None:
        nonlocal pending
        read = os.read(0, 4096)
        if not read:
            ended.set()
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            relay.obey(line.decode())
            _say("done")

    loop.add_reader(0, on_input)
    await ended.wait()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Proxy:
    """The proxy as a process of its own.

    Args:
        target: the port it leads to.
        doors: how many ports it opens.
        log: what it complains about goes there.
    """

    def __init__(self, target: int, doors: int, log: Path) -> None:
        self.ports = [free_port() for _ in range(doors)]
        command = [sys.executable, "-m", "tests.chaos.proxy", str(target), *map(str, self.ports)]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._expect("ready")

    def cut(self, door: int | str = "all") -> None:
        """Reset the connections."""
        self._tell(f"cut {door}")

    def blackhole(self, door: int | str = "all") -> None:
        """From now on nothing gets through; connections stay."""
        self._tell(f"blackhole {door}")

    def slow(self, door: int | str = "all") -> None:
        """From now on everything takes longer."""
        self._tell(f"slow {door}")

    def heal(self, door: int | str = "all") -> None:
        """Everything gets through, what was held back first."""
        self._tell(f"heal {door}")

    def retarget(self, port: int) -> None:
        """New connections lead to another port."""
        self._tell(f"target {port}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        self._expect("done")

    def _expect(self, answer: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if said != answer:
            raise RuntimeError(f"the proxy said {said!r} instead of {answer!r}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
