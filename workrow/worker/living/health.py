"""Say over HTTP what is wrong with this worker, or those of this parent: for probes, and for whoever looks."""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from workrow.errors import OptionError


@contextlib.contextmanager
def serve(address: str | None, problems: Callable[[], list[str]], warnings: Callable[[], list[str]]) -> Iterator[None]:
    """Answer ``GET`` requests while the block runs: 200 if all is well, 503 with the problems if not.

    In a thread of its own, so that a task that blocks the worker's loop does not silence it.

    Args:
        address: ``host:port``; None for no server.
        problems: what is wrong now, in words.
        warnings: what is wrong and not its fault; it works.

    Raises:
        OptionError: the address is none, or cannot be listened on.
    """
    if address is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = problems()
            told = {"status": "problems" if found else "ok", "problems": found, "warnings": warnings()}
            body = json.dumps(told).encode()
            self.send_response(503 if found else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds and say nothing."""

    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port):
        raise OptionError(f"health={address!r}: must be host:port, such as 0.0.0.0:8080")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    except (OSError, OverflowError) as error:
        raise OptionError(f"health={address!r} cannot be listened on: {error}") from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="workrow-health", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
