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
        "host=localhost port=5432 dbname=x",
    ],
)
def test_the_rest_is(text: str) -> None:
    assert masked(text) == text


def test_all_but_the_password_is_shown() -> None:
    assert masked("postgresql://user:pw@host:5432/db?x=1") == "postgresql://user:***@host:5432/db?x=1"
    assert masked("host=h password=pw dbname=x") == "host=h password=*** dbname=x"
