"""The commands of the door, beside those that run calls."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from tests.celery import worker_app
from workrow.celery import bugreport
from workrow.celery.commands import main
from workrow.celery.commands.daemon import become, expanded, held_by, hold
from workrow.celery.commands.events import Following

REPOSITORY = Path(__file__).parents[2]
APP = "tests.celery.worker_app"
HOST = socket.gethostname()
SECONDS = 30
HOLDER = "import time; from workrow.celery.commands.daemon import hold; hold({!r}); print(); time.sleep(99)"
BECOMES = "import os; from workrow.celery.commands.daemon import become; become(65534, None); "


def said(*words: str, code: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(main, [*words])
    assert done.exit_code == code, done.output
    return done.output


def run(*words: str, program: str = "workrow.celery", **more: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **more}
    command = [sys.executable, "-m", program, *words]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def until(found: Callable[[], object]) -> None:
    late = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < late
        time.sleep(0.05)


# ---------------------------------------------------------------- workrow celery


def test_workrow_celery_is_the_same(database_url: str) -> None:
    url = f"postgresql{database_url.partition('postgresql')[2]}"
    sent = run("--database-url", url, "celery", "-A", APP, "call", "add", "-a", "[1, 2]", program="workrow")
    assert (sent.returncode, len(sent.stdout.strip())) == (0, 36), sent.stderr
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT args ->> 'id' FROM procrastinate_jobs").fetchall()
    assert rows == [(sent.stdout.strip(),)]
    wrong = run("celery", "-A", APP, "nothing", program="workrow")
    assert (wrong.returncode, "No such command 'nothing'" in wrong.stderr) == (2, True)
    assert "Usage: workrow celery [OPTIONS]" in run("celery", "--help", program="workrow").stdout


# ---------------------------------------------------------------- report, shell


def test_report_has_versions_and_settings_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hidden@db.example/shop")
    monkeypatch.setitem(worker_app.app.conf, "my_password", "hidden")
    told = said("-A", APP, "report")
    assert told.strip() == bugreport(worker_app.app).strip() == worker_app.app.bugreport().strip()
    assert "software -> workrow:" in told
    assert "database -> postgresql://me:********@db.example/shop" in told
    assert "my_password: '********'" in told
    assert "hidden" not in told


def test_report_and_shell_need_no_app_and_config_is_of_who_names_none(tmp_path: Path) -> None:
    (tmp_path / "of_the_shop.py").write_text("task_default_queue = 'of-the-shop'\n")
    told = run("--workdir", str(tmp_path), "--config", "of_the_shop", "report")
    assert "task_default_queue: 'of-the-shop'" in told.stdout, told.stderr
    assert "no app is named" in said("purge", code=2)


def test_shell_has_tasks_and_canvases_as_names() -> None:
    ask = "print(app is celery, add.name, chain, 'add' in dir())\n"
    for words, is_there in (((), True), (("-T",), False)):
        command = [sys.executable, "-m", "workrow.celery", "-A", APP, "shell", "--python", *words]
        line = ask if is_there else ask.replace("add.name, ", "")
        done = subprocess.run(command, cwd=REPOSITORY, input=line, capture_output=True, text=True, check=True)
        found = done.stdout.replace(">>> ", "").strip()
        assert (found.startswith("True"), found.endswith(str(is_there))) == (True, True), done.stderr
    assert "it is not installed here" in said("-A", APP, "shell", "--bpython", code=2)


def test_quiet_says_only_what_was_asked_for(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    store = type(worker_app.app.store)(worker_app.app.database_url)
    monkeypatch.setattr(worker_app.app, "store", store)
    assert said("-A", APP, "purge", "-f") == "0 calls were deleted\n"
    assert said("-q", "-A", APP, "purge", "-f") == ""
    store.close()


# ---------------------------------------------------------------- events


def test_events_tell_what_happens_once(
    database_url: str, conn: "psycopg.Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    app = worker_app.app
    store = type(app.store)(app.database_url)
    monkeypatch.setattr(app, "store", store)
    worker_app.add.apply_async((0, 0), task_id="early")  # type: ignore[attr-defined]
    following = Following(app)
    worker_app.add.apply_async((1, 2), task_id="first")  # type: ignore[attr-defined]
    worker_app.fail.apply_async(task_id="second")  # type: ignore[attr-defined]
    sent = following.look()
    assert [line.partition("] ")[2].partition(" queue")[0] for line in sent] == [
        "task sent: add(first) args=(1, 2) kwargs={}",
        "task sent: fail(second) args=() kwargs={}",
    ]
    assert following.look() == []
    command = [sys.executable, "-m", "workrow.celery", "-A", APP, "worker", "-P", "solo", "-n", "w@h"]
    process = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        done = "SELECT count(*) FROM workrow.history"
        until(lambda: conn.execute(done).fetchall() == [(3,)])
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert sorted(line.partition("] task ")[2].partition(" args")[0] for line in following.look()) == [
        *("failed: fail(second)", "started: add(early)", "started: add(first)", "started: fail(second)"),
        *("succeeded: add(early)", "succeeded: add(first)"),
    ]
    assert following.look() == []
    store.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [(("--camera", "x"), "--camera: no state is kept"), (("-F", "1"), "--frequency is of"), ((), "give --dump")],
)
def test_events_has_no_cameras_and_no_screen(words: tuple[str, ...], why: str) -> None:
    assert why in said("-A", APP, "events", *words, code=2)


# ---------------------------------------------------------------- in the background


@contextmanager
def holding(path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A process whose pidfile this is."""
    command = [sys.executable, "-uc", HOLDER.format(str(path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as holder:
        assert holder.stdout
        assert holder.stdout.readline()
        yield holder


def test_a_pidfile_belongs_to_one_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "one.pid"
    path.write_text(f"{os.getpid()}\n")  # left behind by one that was killed; its number is somebody else's by now
    assert held_by(str(path)) is None
    with subprocess.Popen(
        [sys.executable, "-uc", HOLDER.format(str(path))], stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline()
        assert held_by(str(path)) == holder.pid
        with pytest.raises(Exception, match=f"process {holder.pid} runs with it: stop that one"):
            hold(str(path))
        holder.kill()
    assert held_by(str(path)) is None
    with pytest.raises(Exception, match=r"--pidfile=/proc/none/x: No such file"):
        hold("/proc/none/x")


def test_only_root_becomes_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    become(None, None)
    become(os.geteuid(), os.getegid())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Exception, match="only root may run as another user; this is 12345"):
        become(1, None)
    assert "there is no such user" in said("-A", APP, "worker", "--uid", "nobody-at-all", code=2)
    assert "there is no such group" in said("-A", APP, "beat", "--gid", "nobody-at-all", code=2)
    assert "must be an octal number" in said("-A", APP, "beat", "--umask", "9", code=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run as another user")
def test_root_becomes_a_user_with_its_groups() -> None:
    code = BECOMES + "print(os.getresuid(), os.getgroups())"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "(65534, 65534, 65534)" in done.stdout
    assert "0" not in done.stdout.split("[")[1].strip("]\n").split(", ")


def test_paths_have_the_name_of_the_worker() -> None:
    assert expanded("/x/%n-%h-%d-%p-%i%I.log", "w1@a.b.c") == "/x/w1-a.b.c-b.c-w1@a.b.c-0.log"
    assert expanded("%%n%q%", "w1@h") == "%n%q%"
    assert expanded(None, "w1@h") is None


def test_a_program_that_cannot_begin_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ("-A", APP, "beat", "-D", "--pidfile=/proc/none/x", f"--logfile={log}")
    done = run(*words)
    assert (done.returncode, f"with exit code 1 before it began: {log} tells why" in done.stderr) == (1, True)
    assert "--pidfile=/proc/none/x: No such file" in log.read_text()


def test_multi_starts_and_stops_workers(database_url: str, tmp_path: Path) -> None:
    places = (f"--pidfile={tmp_path}/run/%n.pid", f"--logfile={tmp_path}/log/%n%I.log")
    words = ("-A", APP, "multi")

    def multi(*more: str) -> "subprocess.CompletedProcess[str]":
        return run(*words, *more, *places, DATABASE_URL=database_url)

    try:
        started = multi("start", "one", "two", "-P", "threads", "-l", "INFO", "--umask=077")
        assert (started.returncode, started.stdout) == (0, f"> one@{HOST}: OK\n> two@{HOST}: OK\n"), started.stderr
        numbers = [int((tmp_path / "run" / f"{each}.pid").read_text()) for each in ("one", "two")]
        again = multi("start", "one", "-P", "threads")
        assert (again.returncode, f"process {numbers[0]} runs with it" in again.stderr) == (1, True)
        with psycopg.connect(database_url, autocommit=True) as connection:
            alive = "SELECT name FROM workrow.workers WHERE alive AND stopping_at IS NULL ORDER BY name"
            until(lambda: connection.execute(alive).fetchall() == [(f"one@{HOST}",), (f"two@{HOST}",)])
            restarted = multi("restart", "two", "-P", "threads")
            assert f"> two@{HOST}: TERM -> {numbers[1]}\n> two@{HOST}: OK\n> two@{HOST}: OK\n" == restarted.stdout
            until(lambda: len(connection.execute(alive).fetchall()) == 2)
        assert int((tmp_path / "run" / "two.pid").read_text()) != numbers[1]
    finally:
        stopped = multi("stopwait", "one", "two")
    assert (stopped.returncode, stopped.stdout.count(": OK")) == (0, 2)
    assert list((tmp_path / "run").iterdir()) == []
    assert multi("stop", "one").stdout == f"> one@{HOST}: DOWN\n"


def shown(*words: str) -> list[str]:
    told = said("-A", "shop", "multi", "show", *words).splitlines()
    before = f"{sys.executable} -m workrow.celery -A shop worker --detach "
    assert all(line.startswith(before) for line in told)
    return [line.removeprefix(before).partition(" -n ")[0] for line in told]


def test_options_are_for_all_workers_or_for_some() -> None:
    assert shown("3", "-c", "3", "-c:1", "10") == ["-c 10", "-c 3", "-c 3"]
    assert shown("5", "-c", "3", "-c:1-2,5", "10") == ["-c 10", "-c 10", "-c 3", "-c 3", "-c 10"]
    assert shown("foo", "bar@x.y", "-c:foo,bar@x.y", "4", "-E") == ["-c 4 -E", "-c 4 -E"]
    assert shown("2", "--pool:1-2=threads", "--pool=solo") == ["--pool=threads", "--pool=threads"]
    assert shown("foo", "--loglevel", "INFO", "bar") == ["--loglevel INFO", "--loglevel INFO"]
    assert "there is no worker 5 in celery1@" in said("multi", "show", "1", "-Q:5", "x", code=2)
    assert "-c: needs a value" in said("multi", "show", "1", "-c", code=2)
    assert "name the workers" in said("multi", "start", code=2)
    told = said("multi", "show", "one", "-b", "postgresql://x", "--workdir=/tmp", "--", "a=b")
    assert " -m workrow.celery -b postgresql://x --workdir=/tmp worker --detach -n one@" in told
    assert told.endswith("--pidfile=/var/run/celery/one.pid --logfile=/var/log/celery/one.log -- a=b\n")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("3",), ["celery1@{}", "celery2@{}", "celery3@{}"]),
        (("2", "--range-prefix=w", "--hostname=h.com"), ["w1@h.com", "w2@h.com"]),
        (("foo", "bar@x", "baz@%h"), ["foo@{}", "bar@x", "baz@{}"]),
        (("foo", "--prefix=p-", "--suffix=s"), ["p-foo@s"]),
    ],
)
def test_names(words: tuple[str, ...], names: list[str]) -> None:
    assert said("multi", "names", *words).split() == [each.format(HOST) for each in names]


def test_expand_and_get() -> None:
    assert said("multi", "expand", "%n and %h", "2", "--hostname=h") == "celery1 and h\ncelery2 and h\n"
    assert " -c 9 -n bar@" in said("multi", "get", "bar", "foo", "bar", "-c:2", "9")
    assert "it is none of foo@" in said("multi", "get", "baz", "foo", code=2)


def test_a_signal_is_said_by_number_or_name(tmp_path: Path) -> None:
    path = tmp_path / "one.pid"
    for word, expected in (("-9", signal.SIGKILL), ("-QUIT", signal.SIGQUIT), ("-SIGUSR1", signal.SIGUSR1)):
        with subprocess.Popen(
            [sys.executable, "-uc", HOLDER.format(str(path))], stdout=subprocess.PIPE, cwd=REPOSITORY
        ) as holder:
            assert holder.stdout
            assert holder.stdout.readline()
            name = expected.name.removeprefix("SIG")
            assert f"one@{HOST}: {name} -> {holder.pid}" in said("multi", "stop", "one", word, f"--pidfile={path}")
            assert holder.wait(SECONDS) == -expected
