"""Database URLs: how they are read, and how they are shown."""

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from workrow.errors import ConfigurationError

_USER = re.compile(r"((?:^|//)[^:/?#@\s]*:)(?!//).*@", re.DOTALL)
_SECRET = re.compile(
    r"((?:password|passwd|pwd|secret|scram_\w+_key)\s*=\s*)(?:'(?:\\.|[^'\\])*'?|[^&\s]*)", re.IGNORECASE
)
EXAMPLE = "postgresql://user:password@localhost:5432/name"


def libpq_url(url: str) -> str:
    """The URL as libpq reads it: SQLAlchemy's ``postgresql+driver://`` loses the driver.

    Raises:
        ConfigurationError: it is no PostgreSQL URL.
    """
    if not isinstance(url, str):
        raise ConfigurationError(
            f"{url!r} is no PostgreSQL URL (it is of type {type(url).__name__}); write {EXAMPLE!r}"
        )
    plain = re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", url)
    if reason := _mistake(plain):
        raise ConfigurationError(f"{masked(url)!r} is no PostgreSQL URL ({reason}); write {EXAMPLE}")
    return plain


def masked(text: str) -> str:
    """The text of a URL, or of a connection string, with the passwords in it replaced by ``***``.

    A password may hold anything if somebody forgot to encode it: what stands between the user's colon and the last
    ``@`` goes, even if that takes the host with it.
    """
    return _SECRET.sub(r"\1***", _USER.sub(r"\1***@", text))


def unavailable(url: str, error: psycopg.OperationalError) -> str:
    """The one line to say when a connection fails."""
    # libpq asks the same question at the end of some of its reasons
    reason = " ".join(str(error).split()).partition(" Is the server running")[0]
    return f"cannot connect to {masked(url)}: {reason}; is the server running, and is DATABASE_URL right?"


def _mistake(url: str) -> str:
    if not url.startswith("postgresql://"):
        return "it does not start with postgresql://"
    try:
        ports = conninfo_to_dict(url).get("port", "")
    except psycopg.ProgrammingError as error:
        words = " ".join(str(error).split())
        # what libpq quotes may be the password, unless it is the name of a parameter
        return words if words.startswith("invalid URI query") else re.sub(r'(:| in)? ".*', "", words)
    if not all(port.isdecimal() and 0 < int(port) < 65536 for port in str(ports).split(",") if port):
        return "its port is not a number from 1 to 65535"
    return ""
