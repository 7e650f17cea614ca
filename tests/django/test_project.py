"""Of a Django project from the outside: its settings, its commands, its migrations, its code for procrastinate."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

import workrow.schema
from tests.conftest import READABLE, new_database
from tests.django.process import PYTHON, ROOT, environment

UPSTREAM = "procrastinate.contrib.django"
APPS = ["django.contrib.auth", "django.contrib.contenttypes", "workrow.django", "tests.django.shop"]
OF_UPSTREAM = {
    "PROCRASTINATE_AUTODISCOVER_MODULE_NAME": "upstream",
    "PROCRASTINATE_ON_APP_READY": "tests.django.shop.upstream.note",
}
MANAGE = str(ROOT / "tests/django/manage.py")


def manage(url: str, *command: str, cwd: Path = ROOT, **settings: Any) -> subprocess.CompletedProcess[str]:
    """``manage.py``, in a process of its own."""
    words = [PYTHON, MANAGE, *command]
    return subprocess.run(words, cwd=cwd, env=environment(url, **settings), capture_output=True, text=True, timeout=60)


def shell(url: str, code: str, **settings: Any) -> str:
    """What code prints in the project."""
    words = [PYTHON, "-c", f"import django\ndjango.setup()\n{code}"]
    done = subprocess.run(words, cwd=ROOT, env=environment(url, **settings), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_migrate_makes_the_schema_and_takes_it_back(django_template: str, empty_database_url: str) -> None:
    url = empty_database_url
    workrow.schema.upgrade(url, to=7)  # as somebody has done by hand
    done = manage(url, "migrate", "workrow")
    assert done.returncode == 0, done.stderr
    assert workrow.schema.check(url).installed == workrow.schema.LATEST
    assert "No changes detected" in manage(url, "makemigrations", "--check", "--dry-run").stdout
    assert manage(url, "migrate", "workrow", "zero").returncode == 0
    assert workrow.schema.status(url).installed == 0
    assert manage(url, "migrate", "workrow", "--database=file").returncode == 0


def test_the_newest_version_of_the_schema_has_a_migration() -> None:
    """Where this fails, `workrow/django/migrations` lacks one: a copy of the last with the next numbers."""
    folder = Path(workrow.schema.__file__).parents[1] / "django/migrations"
    steps = [re.search(r"Schema\(to=(\d+), back_to=(\d+)\)", each.read_text()) for each in sorted(folder.glob("0*.py"))]
    numbers = [(int(step[2]), int(step[1])) for step in steps if step]
    assert [before for before, _ in numbers] == [0, *(to for _, to in numbers[:-1])]
    assert numbers[-1][1] == workrow.schema.LATEST


def test_procrastinates_tables_are_adopted_and_its_code_goes_on(django_template: str, empty_database_url: str) -> None:
    url, installed = empty_database_url, [UPSTREAM, *APPS]
    missing = manage(url, "migrate", "workrow", INSTALLED_APPS=installed)
    assert missing.returncode
    assert "run `manage.py migrate procrastinate` first" in missing.stderr
    assert manage(url, "migrate", "procrastinate", INSTALLED_APPS=[UPSTREAM]).returncode == 0
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args) VALUES ('default', 'old', 0, '{}')"
        )
    done = manage(url, "migrate", INSTALLED_APPS=installed)
    assert done.returncode == 0, done.stderr
    assert workrow.schema.status(url).adopted
    code = """
from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from tests.django.shop.upstream import greet
from tests.django.shop.models import Order
try:
    with transaction.atomic():
        greet.defer(name="nobody")
        1 / 0
except ZeroDivisionError:
    pass
with transaction.atomic():
    greet.configure(queue="later").defer(name="you")
    app.configure_task("greet").defer(name="me")
print([(job.task_name, job.args) for job in ProcrastinateJob.objects.order_by("id")])
print(type(app.job_manager).__module__, [job.status for job in app.job_manager.list_jobs()])
"""
    options = {"INSTALLED_APPS": installed, **OF_UPSTREAM}
    jobs, manager = shell(url, code, **options).splitlines()
    assert jobs == "[('old', {}), ('greet', {'name': 'you'}), ('greet', {'name': 'me'})]"
    assert manager == "workrow.enqueue.insert ['todo', 'todo', 'todo']"
    ran = manage(url, "procrastinate", "worker", "--one-shot", **options)
    assert ran.returncode == 0, ran.stderr
    with psycopg.connect(url) as connection:
        ended = connection.execute("SELECT result FROM workrow.jobs WHERE status = 'succeeded' ORDER BY id").fetchall()
    assert ended == [("hello you",), ("hello me",)]  # a stock worker keeps no results


def test_without_procrastinates_app_its_code_goes_on_too(django_url: str) -> None:
    options: dict[str, Any] = OF_UPSTREAM
    code = "from tests.django.shop.upstream import greet, seen\ngreet.defer(name='you')\nprint(seen)"
    assert shell(django_url, code, **options) == "['workrow.django.own_app']"
    ran = manage(django_url, "workrow", "worker", "--one-shot", **options)
    assert ran.returncode == 0, ran.stderr
    with psycopg.connect(django_url) as connection:
        assert connection.execute("SELECT result FROM workrow.jobs").fetchall() == [("hello you",)]


def test_procrastinates_app_stands_before_ours(django_url: str) -> None:
    wrong = manage(django_url, "check", INSTALLED_APPS=[*APPS, UPSTREAM])
    assert f"ImproperlyConfigured: INSTALLED_APPS: '{UPSTREAM}' must stand before 'workrow.django'" in wrong.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"WORKROW": []}, r"\(workrow\.E001\) settings\.WORKROW=\[\]: must be a dict"),
        ({"WORKROW": {"APPS": "x"}}, r"\(workrow\.E001\) settings\.WORKROW\['APPS'\]: there is no such key; known are"),
        ({"WORKROW": {"DATABASE": 3}}, r"\(workrow\.E001\) settings\.WORKROW\['DATABASE'\]=3: must be an alias"),
        ({"WORKROW": {"DATABASE": "nope"}}, r"\(workrow\.E002\) DATABASES has no 'nope'"),
        ({"WORKROW": {"DATABASE": "file"}}, r"\(workrow\.E003\) DATABASES\['file'\] is sqlite"),
        (
            {"WORKROW": {"APP": "os.path"}},
            r"settings\.WORKROW\['APP'\]='os\.path' is a module: make it with workrow\.dj",
        ),
        ({"WORKROW": {"OPTIONS": {"max_crashes": 1}}}, r"max_crashes=1"),
        ({"PROCRASTINATE_DATABASE_ALIAS": "file"}, r"\(workrow\.E003\)"),
    ],
)
def test_what_is_wrong_in_the_settings_is_told(settings: dict[str, Any], words: str, django_url: str) -> None:
    done = manage(django_url, "check", INSTALLED_APPS=APPS[:3], **settings)
    assert done.returncode == 1
    assert re.search(words, done.stderr), done.stderr


def test_an_app_of_the_projects_own(django_url: str) -> None:
    code = """
from workrow.django import app
from tests.django.shop.jobs import app as own
print(app is own, app.max_crashes, "letters.thank" in app.tasks, "tests.django.shop.tasks.add" in app.tasks)
"""
    assert shell(django_url, code, WORKROW={"APP": "tests.django.shop.jobs.app"}) == "True 7 True True"


def test_the_command_is_ours_on_djangos_database(django_url: str, tmp_path: Path) -> None:
    shell(django_url, "from tests.django.shop.tasks import add, fail\nadd.enqueue(1, 2), fail.enqueue('why not')")
    worker = manage(django_url, "workrow", "worker", "--one-shot", "--processes", "2", "-n", "w", cwd=tmp_path)
    assert worker.returncode == 0, worker.stderr
    status = manage(django_url, "workrow", "status", "--json", cwd=tmp_path)
    assert '"error": "why not"' in status.stdout
    assert "1: succeeded" in re.sub(r".*\[1\] (\w+).*", r"1: \1", manage(django_url, "workrow", "job", "1").stdout)
    assert manage(django_url, "workrow", "job", "3").stderr.startswith("Error: there is no job 3")
    called = "from django.core.management import call_command\ncall_command('workrow', 'retry', '2')\nprint('went on')"
    assert shell(django_url, called) == "2: queued\nwent on"


def test_a_worker_starts_anew_when_code_changes(django_url: str, tmp_path: Path) -> None:
    (tmp_path / "changing.py").write_text("")
    settings = {"WORKROW": {"IMPORTS": ["changing"]}}
    env = environment(django_url, **settings)
    env["PYTHONPATH"] += os.pathsep + str(tmp_path)
    words = [PYTHON, MANAGE, "workrow", "worker", "--autoreload", "-n", "changing"]
    env["PYTHONFAULTHANDLER"] = "1"
    said = tmp_path / "said"
    with said.open("w") as stderr:
        process = subprocess.Popen(words, cwd=ROOT, env=env, start_new_session=True, stderr=stderr)
    try:
        with psycopg.connect(django_url, autocommit=True, options=READABLE) as connection:
            before = _started(connection, None)
            (tmp_path / "changing.py").write_text("# changed")
            assert _started(connection, before) != before
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C
        ended = _group_ends(process)
    assert ended, said.read_text()[-5000:]  # with the stacks of who has not


def _started(connection: psycopg.Connection[Any], before: Any) -> Any:
    for _ in range(400):
        row = connection.execute(
            "SELECT max(pid) FROM workrow.workers WHERE alive AND pid <> %s", [before or 0]
        ).fetchone()
        if row and row[0]:
            return row[0]
        time.sleep(0.1)
    raise AssertionError("no worker has started")


def _group_ends(process: "subprocess.Popen[bytes]") -> bool:
    for _ in range(300):
        try:
            process.poll()
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    for last in (signal.SIGABRT, signal.SIGKILL):
        os.killpg(process.pid, last)
        time.sleep(1)
    process.wait()
    return False


def test_only_who_has_the_app_has_its_migrations(cluster_url: str, django_template: str) -> None:
    with new_database(cluster_url) as url:
        assert manage(url, "migrate", "-v0", INSTALLED_APPS=APPS[:2], TASKS={}).returncode == 0
        assert workrow.schema.status(url).installed == 0
