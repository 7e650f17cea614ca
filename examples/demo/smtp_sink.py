"""A mail server that keeps what it gets: `python -m examples.demo.smtp_sink MAILDIR`.

It behaves as servers out there do. It refuses unknown mailboxes for good (550), asks strangers to come back later (451,
greylisting), takes its time to look at a mail, and stores a mail that comes twice (same Message-ID) only once; the copy
goes to the folder `.Duplicates`. With `--unreliable SHARE` it wants so many of the mails later (451), and stores as
many without a word to the client. No mail leaves this machine.
"""

import argparse
import asyncio
import email
import email.policy
import random
import signal
import time
from pathlib import Path
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, Envelope, Session

REFUSED_DOMAIN = "refused.example"
GREYLISTED_DOMAIN = "greylist.example"
GREYLIST_SECONDS = 0.5
DUPLICATES = ".Duplicates"
LOOK_SECONDS = 0.03
"""Spent before and again after a mail is stored, so that a client may die before or after that, without its answer."""


class Maildir:
    """The folders of `path`; a mail is `new/<its Message-ID>`, complete from the moment it is seen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for folder in (path, path / DUPLICATES):
            for part in ("tmp", "new", "cur"):
                (folder / part).mkdir(parents=True, exist_ok=True)
        self._copies = 0

    def store(self, content: bytes) -> bool:
        """Keep a mail; False when its Message-ID was here before (a copy then goes to `.Duplicates`)."""
        message_id = email.message_from_bytes(content, policy=email.policy.default)["Message-ID"]
        self._copies += 1
        unique = f"{time.time_ns()}.{self._copies}"
        name = quote(str(message_id).strip("<> "), safe="@") if message_id else unique
        written = self.path / "tmp" / unique
        written.write_bytes(content)
        try:
            (self.path / "new" / name).hardlink_to(written)
        except FileExistsError:
            written.rename(self.path / DUPLICATES / "new" / f"{name},{unique}")
            return False
        written.unlink()
        return True


class Sink:
    """aiosmtpd's handler: its answers to RCPT and DATA."""

    def __init__(self, maildir: Maildir, unreliable: float = 0.0) -> None:
        self.path = maildir.path
        self._maildir = maildir
        self._unreliable = unreliable
        self._first_seen: dict[str, float] = {}

    async def handle_RCPT(  # noqa: N802, aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        domain = address.rpartition("@")[2].lower()
        if domain == REFUSED_DOMAIN:
            return f"550 5.1.1 <{address}>: no such mailbox here"
        if domain == GREYLISTED_DOMAIN:
            now = time.monotonic()
            if now - self._first_seen.setdefault(address, now) < GREYLIST_SECONDS:
                return f"451 4.7.1 <{address}>: greylisted, please try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(LOOK_SECONDS)
        fate = random.random()
        if fate < self._unreliable:
            return "451 4.3.0 not now, please try again later"
        is_new = self._maildir.store(envelope.original_content or b"")
        await asyncio.sleep(LOOK_SECONDS)
        if fate < 2 * self._unreliable and server.transport is not None:
            server.transport.close()
        return "250 2.0.0 stored" if is_new else "250 2.0.0 stored before"


async def serve(sink: Sink, host: str, port: int) -> None:
    """Receive mail at `host` and `port` (0: any free one) until cancelled or SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(
        lambda: SMTP(sink, hostname="sink.example", enable_SMTPUTF8=True, loop=loop), host, port
    )
    print(f"receiving mail on {host}:{server.sockets[0].getsockname()[1]} into {sink.path}", flush=True)
    # no waiting for clients that stay connected: `async with server` would, from Python 3.12 on
    await stopped.wait()
    server.close()


def main() -> None:
    """The command line; it ends with one line if it cannot listen."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo.smtp_sink", description=__doc__)
    parser.add_argument("maildir", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unreliable", type=float, default=0.0, help="a share of the mails, 0 to 1")
    options = parser.parse_args()
    try:
        asyncio.run(serve(Sink(Maildir(options.maildir), options.unreliable), options.host, options.port))
    except OSError as error:
        raise SystemExit(f"mail server: {error.strerror}; is another one running?") from error


if __name__ == "__main__":
    main()
