"""What is said of a database never shows its password, however it is written."""

import pytest

from workrow.database.urls import libpq_url, masked
from workrow.errors import ConfigurationError

SECRETS = [
    "postgresql://user:s3cr3t@host/db",
    "postgresql://user:s3cr3t@one:5432,two:5433/db",
    "postgresql://user:s3cr3t@[::1]:5432/db",
    "postgresql+asyncpg://user:s3cr3t@host/db",
    "host=localhost password=s3cr3t dbname=x",
    "host=localhost password = s3cr3t dbname=x",
    "host=localhost PASSWORD='s3cr3t w0rd' dbname=x",
    r"host=localhost password='s3cr3t \' w0rd' dbname=x",
    "host=localhost password='s3cr3t w0rd",
    "host=localhost sslpassword=s3cr3t oauth_client_secret=s3cr3t scram_client_key=s3cr3t",
    "postgresql://host/db?user=u&password=s3cr3t%20w0rd",
    "postgresql://host/db?password=s3cr3t&user=u&sslpassword=s3cr3t",
    "postgresql://user:s3/cr3t@host/db",
    "postgresql://user:s3cr3t@w0rd@host/db",
    "postgresql://user:s3?cr3t#w0rd@host/db",
    "postgresql://user:s3cr3t w0rd@host/db",
    "postgresql://user:s3cr3t\nw0rd@host/db",
    "postgresql://:s3cr3t@host/db",
    "mysql://user:s3cr3t@host/db",
    "postgresql+asyncpg//user:s3cr3t@host/db",
    "postgresql:/user:s3cr3t@host/db",
    "user:s3cr3t@host/db",
    r"host=localhost password=s3\ cr3t dbname=x",
    'host=localhost password="s3 cr3t" dbname=x',
    "host=localhost password='s3''cr3t' dbname=x",
    "host=localhost password=s3 cr3t w0rd",
    "host=localhost password=s3 cr3t w0rd dbname=x",
    "host=localhost password\n=\n's3\ncr3t' dbname=x",
    "postgresql://user:s3cr3t/db",
    "postgresql+asyncpg://user:s3cr3t",
    "user:s3cr3t",
    "  user:s3cr3t@host/db",
    "postgresql+asyncpg/user:s3cr3t@host/db",
    "postgresql://host/db?password=s3&cr3t&user=u",
    "postgresql://host/db?p%61ssword=s3cr3t",
    "postgresql://host/db?password=s3%zzcr3t",
    "postgresql://user:s3%zzcr3t@host/db",
    "postgresql://user%3As3cr3t@host/db",
    "postgresql%3A%2F%2Fuser%3As3cr3t%40host%2Fdb",
    "postgresql://user:s3?cr3t=w0rd@host/db",
    "postgresql://one,user:s3cr3t@two:5433/db",
    "postgresql://user:s3@cr3t@one,two/db",
    "jdbc:postgresql://host/db?user=u&password=s3cr3t",
    "service=mail passfile=/x PASSWORD = s3cr3t",
    "host=localhost ssl_password=s3cr3t",
    "DATABASE_URL=postgresql://user:s3cr3t@host/db",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_password_is_shown(text: str) -> None:
    said = masked(text)
    try:
        libpq_url(text)
    except ConfigurationError as error:
        said += str(error)
    assert not [part for part in ("s3", "cr3t", "w0rd") if part in said], said


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user@host:5432/db?application_name=mail",
        "postgresql://host/db",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://one:5432,two:5433/db?target_session_attrs=primary",
        "postgresql://[::1]:5432/db",
        "localhost:5432/db",
        "service=mail passfile=/x require_auth=scram-sha-256,password dbname=x",
        "host=localhost port=5432 dbname=x",
    ],
)
def test_the_rest_is(text: str) -> None:
    assert masked(text) == text


def test_all_but_the_password_is_shown() -> None:
    assert masked("postgresql://user:pw@host:5432/db?x=1") == "postgresql://user:***@host:5432/db?x=1"
    assert masked("host=h password=pw dbname=x") == "host=h password=*** dbname=x"


@pytest.mark.parametrize("value", [{"password": "s3cr3t"}, b"postgresql://user:s3cr3t@host/db", ["s3cr3t"]])
def test_what_is_no_text_is_not_shown(value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"of type {type(value).__name__} is no PostgreSQL URL") as caught:
        libpq_url(value)  # type: ignore[arg-type]
    assert "s3cr3t" not in str(caught.value)


def test_who_forgot_to_encode_an_at_is_told() -> None:
    with pytest.raises(ConfigurationError, match="write %40 for it"):
        libpq_url("postgresql://user:p@ss@host/db")
    assert libpq_url("postgresql://user@/db?host=@socket,/tmp")
