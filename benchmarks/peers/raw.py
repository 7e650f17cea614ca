"""Raw SQL: what a table, psycopg and no queue library reach."""

from collections.abc import Mapping
from typing import ClassVar

from benchmarks.peers.base import Mode, Peer, in_our_python


class Raw(Peer):
    name = "raw"
    version = "psycopg 3"
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": "claim UPDATE … SKIP LOCKED 500, finish DELETE → INSERT history; runs no tasks"
    }
    bulk = "COPY"
    last_id = "SELECT coalesce(max(id), 0) FROM raw_jobs"
    finished = "SELECT count(*) FROM raw_history WHERE id > %(after)s"

    def install(self) -> None: ...

    def command(self, *arguments: str) -> list[str]:
        return in_our_python("benchmarks.programs.raw", *arguments)

    def worker(self, mode: Mode) -> list[str]:
        return self.command("worker")
