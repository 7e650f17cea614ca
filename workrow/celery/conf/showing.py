"""Settings as they may be shown: without passwords, keys and the like."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "********"

_SECRET = re.compile(r"pass|secret|token|signature|credential|private|dsn|api_?key|(^|_)key(_|$)", re.IGNORECASE)
_NO_SECRET = re.compile(r"(routing|binding)_key$", re.IGNORECASE)
_PASSWORD_OF_URL = re.compile(r"(?<=://)([^\s/:@;,]*):[^\s/;,]*(?=@)")
_PASSWORD_OF_QUERY = re.compile(r"([?&](?:password|sslpassword|passwd|token|secret)=)[^&\s;,]*", re.IGNORECASE)


def censored(name: Any, value: Any) -> Any:
    """A value with ``********`` for what nobody may see.

    What has a telling name (``redis_password``, ``api_key``) at any depth is hidden, and the passwords of URLs in any
    text.

    Args:
        name: of the setting, or key in a dict.
    """
    if value is not None and isinstance(name, str) and _SECRET.search(name) and not _NO_SECRET.search(name):
        return HIDDEN
    match value:
        case str():
            return _PASSWORD_OF_QUERY.sub(rf"\1{HIDDEN}", _PASSWORD_OF_URL.sub(rf"\1:{HIDDEN}", value))
        case Mapping():
            return {key: censored(key, item) for key, item in value.items()}
        case list() | set() | frozenset():
            return [censored(None, item) for item in value]
        case tuple():
            return tuple(censored(None, item) for item in value)
    return value
