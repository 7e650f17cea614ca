"""What the environment may say, and how a mistake in it is told."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy import NullPool, create_engine, make_url

import jobs.settings
from jobs.settings import DEVELOPMENT_KEY, Settings, get_settings
from workrow.errors import ConfigurationError

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> None:
    for name in list(os.environ):
        if name.startswith("WORKROW_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


def problem() -> str:
    with pytest.raises(ConfigurationError) as caught:
        get_settings()
    return str(caught.value)


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unknown_name_is_an_error_that_names_the_nearest_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKROW_SMTP_PROT", "25")
    assert problem() == "unknown setting WORKROW_SMTP_PROT: did you mean WORKROW_SMTP_PORT?"


def test_an_unknown_name_like_no_other_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKROW_QQQ", "25")
    assert problem().startswith("unknown setting WORKROW_QQQ: known are ")
    assert "WORKROW_SMTP_HOST" in problem()
    assert "\n" not in problem()


@pytest.mark.parametrize("name", ["WORKROW_TEST_DATABASE_URL", "WORKROW_APP", "OTHER_NAME"])
def test_names_that_others_read_are_no_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    assert get_settings().smtp_port == 1025


def test_each_wrong_value_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKROW_SMTP_PORT", "smtp")
    monkeypatch.setenv("WORKROW_SMTP_TLS", "ssl")
    monkeypatch.setenv("WORKROW_SMTP_TIMEOUT", "0")
    lines = problem().splitlines()
    assert len(lines) == 3
    port, tls, timeout = sorted(lines)[0], sorted(lines)[2], sorted(lines)[1]
    assert port.startswith("WORKROW_SMTP_PORT='smtp': ")
    assert port.endswith("an example: 1025")
    assert timeout.startswith("WORKROW_SMTP_TIMEOUT='0': ")
    assert tls.startswith("WORKROW_SMTP_TLS='ssl': ")
    assert "'starttls'" in tls


@pytest.mark.parametrize("name", ["WORKROW_SECRET_KEY", "WORKROW_SMTP_PASSWORD"])
def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "hunter2")
    assert "hunter2" not in problem()
    assert name in problem()


def test_the_databases_password_is_in_no_repr_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@localhost/workrow")
    assert "hunter2" not in repr(Settings()) + str(Settings())
    for url in ("postgresql:/user:hunter2@localhost", "host=h password = 'hunter2'"):
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(ValidationError) as caught:
            Settings()
        assert "hunter2" not in str(caught.value) + repr(caught.value)


def test_a_username_without_a_password_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKROW_SMTP_USERNAME", "mailer")
    assert problem() == "WORKROW_SMTP_USERNAME and WORKROW_SMTP_PASSWORD go together: set both or neither"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:5432/workrow",
        "mysql://user:hunter2@localhost/workrow",
        "postgresql://user:hunter2@localhost:postgres/workrow",
        "postgresql://user:hunter2@localhost:99999/workrow",
        "postgresql://user:hunter2@[::1/workrow",
        "postgresql://user:hunter2%zz@localhost/workrow",
        "postgresql://user:hunter2/@localhost/workrow",
        "postgresql://user:hunter2@localhost/workrow?sslmod=require",
    ],
)
def test_a_malformed_url_is_one_line_with_an_example_and_no_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    line = problem()
    assert line.startswith(f"DATABASE_URL: {url.replace('hunter2', '***')[:12]!r}"[:-1])
    assert "postgresql://user:password@localhost:5432/name" in line
    assert "hunter2" not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:p%40ss@db.example:5433/workrow",
        "postgresql+asyncpg://user:p%40ss@db.example:5433/workrow",
        "postgresql://user:p%40ss@db.example:5433/workrow",
    ],
)
def test_the_usual_spellings_of_a_url_mean_the_same(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert get_settings().database_url == "postgresql://user:p%40ss@db.example:5433/workrow"
    parsed = make_url(get_settings().sqlalchemy_url)
    assert (parsed.drivername, parsed.username, parsed.password) == ("postgresql+psycopg", "user", "p@ss")
    assert "p@ss" not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://one:5432,two:5433/workrow?target_session_attrs=any", "one,two", "5432,5433"),
        ("postgresql://postgres@/workrow?host=/a%20b/c", "/a b/c", None),
        ("postgresql://[::1]:5432/workrow", "::1", "5432"),
    ],
)
def test_sqlalchemy_connects_to_what_libpq_would(
    monkeypatch: pytest.MonkeyPatch, url: str, host: str, port: str | None
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    engine = create_engine(get_settings().sqlalchemy_url)
    _, arguments = engine.dialect.create_connect_args(engine.url)
    assert arguments["host"] == host
    assert str(arguments.get("port", None)) == str(port)
    assert arguments["dbname"] == "workrow"


def test_without_a_url_the_embedded_server_is_asked_for_only_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    from workrow import embedded

    asked: list[Path] = []

    def ensure(directory: Path) -> str:
        asked.append(directory)
        return "postgresql://postgres@/workrow?host=/somewhere"

    monkeypatch.setattr(embedded, "ensure", ensure)
    settings = get_settings()
    assert settings.signing_key == DEVELOPMENT_KEY
    assert asked == []
    assert settings.database_url == settings.database_url == "postgresql://postgres@/workrow?host=/somewhere"
    assert asked == [ROOT / ".workrow"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "", "localhost:1,127.0.0.1:2"])
def test_a_database_on_this_machine_needs_no_secret_key(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{host}/workrow")
    assert get_settings().signing_key == DEVELOPMENT_KEY


@pytest.mark.parametrize("host", ["db.example", "localhost,db.example"])
def test_a_database_elsewhere_needs_a_secret_key(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:hunter2@{host}/workrow")
    with pytest.raises(ConfigurationError, match="WORKROW_SECRET_KEY is unset") as caught:
        _ = get_settings().signing_key
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("WORKROW_SECRET_KEY", "0123456789abcdef")
    get_settings.cache_clear()
    assert get_settings().signing_key == "0123456789abcdef"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().smtp_port = 25  # type: ignore[misc]


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "procrastinate", "--app=app.app", "worker", "--one-shot"),
        ("-m", "procrastinate", "--app=app.app", "healthchecks"),
        ("-m", "uvicorn", "jobs.api:api", "--port=0"),
        ("-m", "alembic", "current"),
    ],
)
def test_every_process_stops_at_a_wrong_setting_without_a_traceback(command: tuple[str, ...]) -> None:
    result = run(*command, DATABASE_URL="postgresql://localhost:none/x", WORKROW_SMTP_PROT="25")
    assert result.returncode != 0
    assert "did you mean WORKROW_SMTP_PORT?" in result.stderr
    assert "DATABASE_URL: 'postgresql://localhost:***/x' is no PostgreSQL URL" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "procrastinate", "--app=app.app", "worker", "--one-shot"),
        ("-m", "uvicorn", "jobs.api:api", "--port=0"),
    ],
)
def test_a_process_whose_database_is_down_says_so_in_one_line(command: tuple[str, ...]) -> None:
    result = run(*command, DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/x")
    assert result.returncode != 0
    assert "127.0.0.1:1/x" in result.stderr
    assert "hunter2" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "procrastinate", "--app=app.app", "worker", "--one-shot"),
        ("-m", "uvicorn", "jobs.api:api", "--port=0"),
    ],
)
def test_a_process_whose_database_is_not_migrated_says_what_to_do(
    command: tuple[str, ...], empty_database_url: str
) -> None:
    result = run(*command, DATABASE_URL=empty_database_url, WORKROW_SECRET_KEY="0123456789abcdef")
    assert result.returncode != 0
    assert "alembic upgrade head" in result.stderr
    assert "Traceback" not in result.stderr


def test_importing_the_app_opens_nothing_and_starts_no_server() -> None:
    code = (
        "import sys, app, jobs.api\n"
        "from jobs import database\n"
        "assert 'workrow.embedded' not in sys.modules\n"
        "assert database.engine.cache_info().currsize == 0\n"
    )
    result = run("-W", "error", "-c", code, DATABASE_URL="postgresql://localhost:none/x")
    assert result.returncode == 0, result.stderr


def test_only_the_settings_read_the_environment() -> None:
    package = Path(jobs.settings.__file__).parent
    readers = [
        path.name for path in package.rglob("*.py") if "environ" in path.read_text() or "getenv" in path.read_text()
    ]
    assert readers == ["settings.py"]


def test_the_settings_reach_the_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    engine = create_engine(get_settings().sqlalchemy_url, poolclass=NullPool)
    with engine.connect() as connection:
        (name,) = connection.exec_driver_sql("SELECT current_database()").one()
    with psycopg.connect(database_url) as direct:
        assert direct.info.dbname == name


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("WORKROW_CALL_HOURS", "9 to 5", "an example: mon-fri 09:00-18:00"),
        ("WORKROW_PROVIDER_SECRET", "whsec_short", "copy it from the provider"),
        ("WORKROW_PROVIDER_URL", "provider.example", "an example: http://127.0.0.1:8040/"),
        ("WORKROW_RECORDINGS_KEEP_DAYS", "0", "an example: 90"),
        ("WORKROW_CALL_EVENTS_KEEP_DAYS", "6", "an example: 90"),
    ],
)
def test_a_wrong_setting_of_calls_says_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fix: str
) -> None:
    monkeypatch.setenv(name, value)
    assert problem().startswith(f"{name}=")
    assert problem().endswith(fix)
    assert (value in problem()) == (name != "WORKROW_PROVIDER_SECRET")
