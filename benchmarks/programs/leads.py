"""Files of leads, for the workload ``application``. The database is that of DATABASE_URL.

``write FILE ROWS``: a file of people as companies have them. ``import FILE``: upload it and wait for its end, and for
its scores; a worker runs elsewhere. ``raw FILE``: the same rows, ready made, by COPY into a staging table and INSERT.
As the other clients (`benchmarks.programs.protocol`) the last two print "ready", wait for a line, and report as JSON.
"""

import asyncio
import csv
import json
import random
import sys
import time
from pathlib import Path

import psycopg

from benchmarks.programs.waiting import ready, until
from jobs import database
from jobs.bootstrap import create_app
from jobs.leads import imports, storing, tasks
from jobs.leads.files import Records, layout_of
from jobs.leads.uploads import Upload
from jobs.leads.values import Reader, Values
from jobs.settings import get_settings

HEADER = ("Name", "E-mail", "Phone", "Company", "Country", "Source", "Tags")
WARM_UP = b"email\nwarm-up@example.com\n"
COLUMNS = ", ".join(("import_id", "tags", *storing.COLUMNS))


def write(path: Path, rows: int) -> None:
    """Distinct people: with and without country codes and phones, a third of them at free mail providers."""
    chance = random.Random(rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            first, last = (chance.choice(names.split()) for names in (FIRST, LAST))
            firm = chance.randrange(5_000)
            domain = chance.choice(("gmail.com", "outlook.com", *(f"firm{firm}.example",) * 4))
            local = chance.randrange(10_000)
            phone, country = chance.choice(
                (
                    (f"+1 415 {chance.randrange(200, 999)} {local:04}", "US"),
                    (f"(212) {chance.randrange(200, 999)}-{local:04}", "US"),
                    (f"020 7{chance.randrange(100, 999)} {local:04}", "GB"),
                    (f"+49 30 {chance.randrange(10**6, 10**7)}", "Germany"),
                    ("", ""),
                )
            )
            source, tags = chance.choice(("web", "fair", "referral")), chance.choice(("", "vip", "eu|vip"))
            email = f"{first}.{last}{number}@{domain}"
            writer.writerow((f"{first} {last}", email, phone, f"Firm {firm} Ltd.", country, source, tags))


FIRST = "Ada Grace Alan Edsger Barbara Donald Frances John Margaret Ken Linus Radia Tim Vint Anita"
LAST = "Lovelace Hopper Turing Dijkstra Liskov Knuth Allen Backus Hamilton Thompson Perlman Cerf Borg"


async def import_file(path: Path) -> None:
    """From the upload's first byte to the committed end of the import, and to its last score."""
    app = create_app()
    async with app.open_async():
        await finish(await upload(WARM_UP))
        content = await asyncio.to_thread(path.read_bytes)
        begun = ready()
        import_id = await upload(content)
        await finish(import_id)
        ended = time.time()
        await until("SELECT NOT EXISTS (SELECT FROM leads WHERE rules_version = 0)")
        print(json.dumps({"begun": begun, "ended": ended, "scored": time.time()}), flush=True)
    await database.engine().dispose()


async def upload(content: bytes) -> int:
    """Take a file in, with its job."""
    with Upload(get_settings().lead_import_max_bytes) as file:
        file.write(content)
        async with database.session() as session, session.begin():
            started, _ = await imports.start(session, file, tasks.import_file.enqueue, name="benchmark")
    return started.id


async def finish(import_id: int) -> None:
    """Wait for the end of an import."""
    await until(f"SELECT state = 'done' FROM lead_imports WHERE id = {import_id}")


def raw(path: Path) -> None:
    """What the database takes: the same values, found before the clock runs, in one transaction."""
    content = path.read_bytes()
    layout = layout_of(content[:65_536], "utf-8-sig", whole=False)
    reader = Reader(layout.fields, len(layout.header), None)
    cells = [cells for _, cells in Records(layout.encoding, layout.delimiter).feed(content, final=True)][1:]
    values = [found for each in cells if isinstance(each, list) and isinstance(found := reader.read(each), Values)]
    assert len(values) == len(cells), "the file has rows that are refused"
    lines = storing.lines(1, values)
    with psycopg.connect(get_settings().database_url) as connection:
        begun = ready()
        connection.execute(f"CREATE TEMP TABLE staging ON COMMIT DROP AS SELECT {COLUMNS} FROM leads LIMIT 0")
        with connection.cursor().copy(f"COPY staging ({COLUMNS}) FROM STDIN") as copy:
            copy.write(lines)
        connection.execute(f"INSERT INTO leads ({COLUMNS}) SELECT {COLUMNS} FROM staging")
        connection.commit()
        print(json.dumps({"begun": begun, "ended": time.time()}), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", path, rows]:
            write(Path(path), int(rows))
        case ["import", path]:
            asyncio.run(import_file(Path(path)))
        case ["raw", path]:
            raw(Path(path))
        case other:
            sys.exit(f"{other}: write FILE ROWS, import FILE or raw FILE")
