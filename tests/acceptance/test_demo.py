"""The demo and the development services, run as a user runs them."""

import csv
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from examples.demo.errors import DemoError
from examples.demo.people import read_people
from examples.demo.smtp_sink import DUPLICATES, Maildir
from tests.acceptance.commands import children_of, is_alive, start, wait_for

ORDINARY = [(f"Łukasz Nowak {number}", f"lukasz.{number}@mail.example") for number in range(20)]
ODD = [
    ("Käthe, née Groß", "käthe@universität.example", "no"),
    ("Noa Levi", "noa@refused.example", "no"),
    ("Łukasz again", "LUKASZ.1@MAIL.example", "no"),
    ("Łukasz and again", "lukasz.2@mail.example", "no"),
    ("Rolled Back", "rolled.back@mail.example", "yes"),
    ("Rolled Back Too", "rolled.back.too@mail.example", "yes"),
    ("No Address", "nobody", "no"),
    ("佐藤 健", "sato@greylist.example", "no"),
    ("Grey Too", "grey@greylist.example", "no"),
]


@dataclass
class Demo:
    """Runs of the demo in a directory and a database of their own."""

    cluster_url: str
    directory: Path
    database: str = field(default_factory=lambda: f"workrow_demo_test_{uuid.uuid4().hex[:8]}")

    def start(self, people: Path) -> AbstractContextManager[subprocess.Popen[str]]:
        names = {"DATABASE_URL": self.cluster_url, "PEOPLE": str(people), "COLUMNS": "120"}
        small = ("--leads=500", "--targets=10", "--chats=3")
        command = ("examples.demo", f"--directory={self.directory}", f"--database={self.database}", *small)
        return start(command, **names)

    def run(self, people: Path) -> tuple[int, str]:
        """The exit code, and what it printed."""
        with self.start(people) as process:
            output, _ = process.communicate(timeout=90)
        return process.returncode, output

    @property
    def maildir(self) -> Path:
        return self.directory / "maildir"


@pytest.fixture
def demo(cluster_url: str, tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(cluster_url, tmp_path / "demo")
    yield demo
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(demo.database)))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    write_people(path, ("name", "email", "validate_only"), [*((*row, "no") for row in ORDINARY), *ODD])
    return path


def test_the_demo_balances_its_books(demo: Demo, people: Path) -> None:
    code, output = demo.run(people)
    assert (code, output.count("✗")) == (0, 0), output
    registered = len(ORDINARY) + 4
    expected = {
        "people registered": registered,
        "people rolled back": 2,
        "duplicates refused": 2,
        "invalid": 1,
        "mails delivered": 2 * registered - 2,
        "mails discarded (550, refused)": 2,
    }
    assert {name: figure(output, name) for name in expected} == expected
    # one that the killed worker was just sending may come after the greylisting, and need no second attempt
    assert 1 <= figure(output, "mails retried (451, come back later)") <= 4
    assert re.search(r"worker-2 \(process \d+\) killed with -9 while it ran [1-9]\d* jobs", output), output
    assert figure(output, "killed worker's jobs recovered") > 0
    assert figure(output, "from enqueue to start, p95 (ms)") >= figure(output, "from enqueue to start, p50 (ms)") > 0
    assert len(list((demo.maildir / "new").iterdir())) == 2 * registered - 2
    assert 0 < figure(output, "calls completed") <= 10
    assert re.search(r"worker-1 \(process \d+\) deployed: worker-4 \(process \d+\) took over, exit code 0", output), (
        output
    )
    assert re.search(r"✓ │ leads imported = good rows of the file +│ +483 │ +483 │", output), output
    assert "<svg" in (demo.directory / "report.html").read_text()
    assert not [pid for pid in processes_named_in(output) if is_alive(pid)]


def test_books_that_do_not_balance_are_told(demo: Demo, people: Path) -> None:
    with demo.start(people) as process:
        # one that is in the ledger is not sent again: lose it, and let another one come a second time
        lost, doubled = wait_for(lambda: message_ids_in_ledger(demo))
        (demo.maildir / "new" / lost).unlink()
        shutil.copy(demo.maildir / "new" / doubled, demo.maildir / "new" / "another-message-id@workrow.example")
        output, _ = process.communicate(timeout=90)
    assert process.returncode == 1, output
    assert "the books do not balance" in output
    assert re.search(r"✗ │ mails that came twice +│ +1 │ +0 │", output), output
    assert f"missing: {lost.partition('@')[0]} to " in output
    assert f"only in the ledger: {lost.partition('@')[0]} to " in output


def test_a_run_after_kill_9_works_and_takes_the_users_own_file(demo: Demo, tmp_path: Path, people: Path) -> None:
    with demo.start(people) as process:
        children = wait_for(lambda: all_children(demo))
        process.kill()
    if sys.platform == "linux":
        assert wait_for(lambda: not any(is_alive(pid) for pid in children))

    # as a spreadsheet writes it: a byte order mark, other columns, capitals, an empty line at the end
    own = tmp_path / "own.csv"
    write_people(own, ("Id", "Email", "Name"), [(n, f"p{n}@own.example", f"Person, {n}") for n in range(1, 12)])
    own.write_text("\ufeff" + own.read_text() + "\n")
    code, output = demo.run(own)
    assert (code, output.count("✗")) == (0, 0), output
    assert figure(output, "people registered") == 10
    assert figure(output, "people rolled back") == 1
    assert not [pid for pid in children.union(processes_named_in(output)) if is_alive(pid)]


def test_ctrl_c_stops_everything(demo: Demo, people: Path) -> None:
    with demo.start(people) as process:
        children = wait_for(lambda: all_children(demo))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert not [pid for pid in children if is_alive(pid)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read people.csv: No such file or directory"),
        (b"", "people.csv has no column name and email"),
        (b"name;email\nA;a@b.example\n", "people.csv has no column name and email (its header is 'name;email')"),
        (b"name,mail\nA,a@b.example\n", "people.csv has no column email"),
        (b"name,email\n", "people.csv names no people"),
        ("name,email\nA,a@b.example\nJürgen,j@b.example\n".encode("latin-1"), "people.csv is not UTF-8 at line 3"),
        (b'name,email\n"A,a@b.example\n', "people.csv is not a CSV file: unexpected end of data"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(
    content: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("people.csv").write_bytes(content)
    with pytest.raises(DemoError) as raised:
        read_people(Path("people.csv"))
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        ({"PEOPLE": "missing.csv"}, 2, "demo: cannot read missing.csv: No such file or directory"),
        ({"DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/x"}, 1, "demo: cannot create the demo's database"),
        ({"WORKROW_SMTP_PROT": "1"}, 1, "demo: unknown setting WORKROW_SMTP_PROT"),
    ],
)
def test_bad_input_is_one_line_and_no_traceback(names: dict[str, str], code: int, message: str, tmp_path: Path) -> None:
    with start(("examples.demo", f"--directory={tmp_path}"), **names) as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert output.startswith(message)
    assert output.count("\n") == 1
    assert "secret" not in output


def test_only_databases_of_the_demo_are_dropped(demo: Demo, people: Path) -> None:
    demo.database = "workrow_production"
    code, output = demo.run(people)
    assert (code, output.count("\n")) == (1, 1)
    assert "'workrow_production' does not start with 'workrow_demo'" in output


def test_the_sink_stores_a_message_id_once(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    stored = [maildir.store(b"Message-ID: <a/1@x>\r\n\r\nhello\r\n") for _ in range(3)]
    assert stored == [True, False, False]
    assert maildir.store(b"Message-ID: <a/2@x>\r\n\r\nhello\r\n")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a%2F1@x", "a%2F2@x"}
    assert len(list((tmp_path / DUPLICATES / "new").iterdir())) == 2
    assert not list((tmp_path / "tmp").iterdir())


def write_people(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def figure(output: str, name: str) -> int:
    """What the table says."""
    found = re.search(rf"│ {re.escape(name)} +│ +([\d,]+) │", output)
    assert found, output
    return int(found[1].replace(",", ""))


def processes_named_in(output: str) -> list[int]:
    return [int(pid) for pid in re.findall(r"\(process (\d+)\)", output)]


def all_children(demo: Demo) -> set[int]:
    """The mail server, the service and both workers, once all have been started."""
    children = children_of(demo.directory)
    return children if len(children) == 4 else set()


def message_ids_in_ledger(demo: Demo) -> list[str]:
    """The file names of two mails that will not be sent again; empty as long as there are no two."""
    url = make_conninfo(demo.cluster_url, dbname=demo.database)
    try:
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT message_id FROM email_deliveries ORDER BY sent_at LIMIT 2").fetchall()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []
    return [message_id.strip("<>") for (message_id,) in rows] if len(rows) == 2 else []
