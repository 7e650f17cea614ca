"""`python -m examples.demo`: exit code 0 if the books balance, 1 if not, 2 for a wrong argument or file."""

import argparse
import asyncio
import io
import os
import secrets
import shutil
import sys
import time
from pathlib import Path

import psycopg
from rich.console import Console
from rich.markup import escape

from examples.demo import books, report
from examples.demo.acts.campaign import Campaign
from examples.demo.acts.chats import Chats
from examples.demo.acts.leads import Leads
from examples.demo.acts.reports import fetch_report
from examples.demo.database import DATABASE, create_database
from examples.demo.errors import DemoError
from examples.demo.people import Person, read_people
from examples.demo.processes import ROOT, Processes, interrupt_on_termination
from examples.demo.progress import Screen
from examples.demo.registration import Registration
from examples.demo.services import (
    environment_of,
    migrate,
    start_provider,
    start_service,
    start_sink,
    start_worker,
    wait_for_service,
    wait_for_workers,
)
from examples.demo.smtp_sink import DUPLICATES
from examples.demo.story import Story
from jobs.settings import get_settings
from workrow.errors import WorkrowError

PEOPLE = ROOT / "examples" / "data" / "people.csv"
LEADS, TARGETS, CHATS, MESSAGES = 20_000, 200, 20, 20
INTERRUPTED = 130


def main() -> int:
    """The command line; returns the exit code."""
    options = _arguments()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that knows no ✓ gets a question mark
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    interrupt_on_termination()
    try:
        people = read_people(options.people)
    except DemoError as error:
        return _complain(error, 2)
    try:
        return _run(console, people, options)
    except (DemoError, WorkrowError) as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        print("stopped: everything the demo had started has ended", file=sys.stderr)
        return INTERRUPTED


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="Register people; check the books.")
    parser.add_argument(
        "--people",
        type=Path,
        default=Path(os.environ.get("PEOPLE") or PEOPLE),
        help="CSV file with the columns name and email (default: the environment's PEOPLE, or the example)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=ROOT / ".workrow" / "demo",
        help="for the mails and logs (default: %(default)s)",
    )
    parser.add_argument("--leads", type=int, default=LEADS, help="rows of the file that is imported (%(default)s)")
    parser.add_argument("--targets", type=int, default=TARGETS, help="leads who are called (%(default)s)")
    parser.add_argument("--chats", type=int, default=CHATS, help=f"chats of {MESSAGES} messages (%(default)s)")
    parser.add_argument("--database", default=DATABASE, help="dropped if present, and made anew (default: %(default)s)")
    return parser.parse_args()


def _run(console: Console, people: list[Person], options: argparse.Namespace) -> int:
    started = time.monotonic()
    directory, database = options.directory, options.database
    maildir = directory / "maildir"
    with Processes(directory) as processes, Screen(console) as screen:
        shutil.rmtree(maildir, ignore_errors=True)
        url = create_database(get_settings().database_url, database)
        smtp_port = processes.wait_for("the mail server", start_sink(processes, maildir).listening_port)
        environment = environment_of(url, smtp_port)
        # each run signs with a key of its own: its links end with it
        environment.setdefault("WORKROW_SECRET_KEY", secrets.token_hex(32))
        migrate(processes, environment)
        screen.say(f"database {database}: new, and migrated by alembic")
        service_url = wait_for_service(processes, start_service(processes, environment))
        environment["WORKROW_BASE_URL"] = service_url
        screen.say(f"service on {service_url}, mail server on 127.0.0.1:{smtp_port}")
        environment["WORKROW_PROVIDER_URL"] = provider_url = start_provider(processes, environment, service_url)
        workers = [start_worker(processes, f"worker-{number}", environment) for number in (1, 2)]
        wait_for_workers(processes, url, workers)
        screen.say(f"{workers[0]} and {workers[1]} wait")
        screen.say(f"registering {len(people)} people")
        registration = Registration(people, service_url)
        quiet = asyncio.Event()
        leads = Leads(options.leads, service_url)
        acts = [
            leads,
            Campaign(options.targets, leads, service_url, provider_url),
            Chats(options.chats, MESSAGES, service_url, url, quiet),
        ]
        story = Story(processes, environment, registration, workers, acts, quiet, maildir, screen)
        left = asyncio.run(story.tell())
        (directory / "report.html").write_text(asyncio.run(fetch_report(service_url)), encoding="utf-8")
    # all have ended: nothing can change the books any more
    suppressed = len(os.listdir(maildir / DUPLICATES / "new"))
    with psycopg.connect(url) as connection:
        figures = books.read_figures(connection, registration, left)
        entries = books.compare(
            connection,
            figures,
            registration,
            maildir,
            may_copy=lambda mail: mail["claims"] - 1 if mail["job_id"] in left else 0,
        )
        entries.append(books.Entry("jobs recovered = jobs the killed worker ran", figures["recovered"], len(left)))
        entries += [entry for act in acts for entry in act.entries(connection)]
        more = [figure for act in acts for figure in act.figures(connection)]
    console.print(report.figures_table(figures, registration, suppressed, more))
    report.print_books(console, entries)
    balanced = all(entry.is_balanced for entry in entries)
    verdict = "[green]the books balance[/]" if balanced else "[red]the books do not balance[/]"
    took = f"after {time.monotonic() - started:.0f} seconds"
    console.print(f"{verdict}, {took}; mails, logs and the report are in {escape(str(directory))}", soft_wrap=True)
    return 0 if balanced else 1


def _complain(error: Exception, code: int) -> int:
    print(f"demo: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
