"""Database URLs: how they are read, and how they are shown."""

import re
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from workrow.errors import ConfigurationError

_USER = re.compile(r"(:|%3a)(?!//|%2f%2f).*(@|%40)", re.DOTALL | re.IGNORECASE)
# what stands in a port's place and is none
_PORT = re.compile(r"((?:^\s*|//)[^:/?#\s\[\]]*:)(?!//)(?!\d*(?:[/?#,\s]|$))[^/?#\s]*")
# of key=value and ?key=value; a value goes on to the next key if somebody forgot the quotes, or to encode it
_PAIR = re.compile(
    r"""([\w%]+)(\s*=\s*)((?:'(?:\\.|[^'\\])*'?)+|(?:"[^"]*"?)+"""
    r"""|(?:\\.|&(?![\w%]+=)|\s(?!\s*[\w%]+\s*=)|[^&\s\\])*)""",
    re.DOTALL,
)
_SECRET = re.compile(r".*(?:password|passwd|pwd|secret|scram_\w+_key)", re.IGNORECASE)
EXAMPLE = "postgresql://user:password@localhost:5432/name"


def libpq_url(url: str) -> str:
    """The URL as libpq reads it: SQLAlchemy's ``postgresql+driver://`` loses the driver.

    Raises:
        ConfigurationError: it is no PostgreSQL URL.
    """
    if not isinstance(url, str):
        raise ConfigurationError(
            f"what is of type {type(url).__name__} is no PostgreSQL URL: it must be a string, such as {EXAMPLE!r}"
        )
    plain = re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", url)
    if reason := _mistake(plain):
        raise ConfigurationError(f"{masked(url)!r} is no PostgreSQL URL ({reason}); write {EXAMPLE}")
    return plain


def masked(text: str) -> str:
    """The text of a URL, or of a connection string, with the passwords in it replaced by ``***``.

    A password may hold anything if somebody forgot to encode it: what stands between the first colon and the last ``@``
    goes, even if that takes the host with it.
    """
    text, found = _USER.subn(r"\1***\2", text)
    if not found:
        text = _PORT.sub(r"\1***", text)
    return _PAIR.sub(_masked_pair, text)


def _masked_pair(pair: re.Match[str]) -> str:
    return f"{pair[1]}{pair[2]}***" if _SECRET.fullmatch(unquote(pair[1])) else pair[0]


def unavailable(url: str, error: psycopg.OperationalError) -> str:
    """The one line to say when a connection fails."""
    # libpq asks the same question at the end of some of its reasons
    reason = " ".join(str(error).split()).partition(" Is the server running")[0]
    return f"cannot connect to {masked(url)}: {reason}; is the server running, and is DATABASE_URL right?"


def _mistake(url: str) -> str:
    if not url.startswith("postgresql://"):
        return "it does not start with postgresql://"
    try:
        found = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        words = " ".join(str(error).split())
        # what libpq quotes may be the password, or a part of it, unless it is the name of a parameter
        quoted = re.search('"(.*)"', words)
        safe = words.startswith("invalid URI query") and quoted is not None and quoted[1] in masked(url)
        return words if safe else re.sub(r'(:| in)? ".*', "", words)
    if any("@" in host[1:] for host in str(found.get("host") or "").split(",")):
        return "its host has an @: in a password, write %40 for it"
    if not all(port.isdecimal() and 0 < int(port) < 65536 for port in str(found.get("port") or "").split(",") if port):
        return "its port is not a number from 1 to 65535"
    return ""
