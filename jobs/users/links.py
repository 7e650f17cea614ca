"""Signed links: proof that who follows one has read the e-mail it came in."""

from datetime import timedelta
from enum import StrEnum

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from jobs.settings import get_settings


class Purpose(StrEnum):
    """What a link is good for, and its path. A link for one purpose is worthless for another."""

    VERIFY = "verify"
    PASSWORD_RESET = "password-reset"
    UNSUBSCRIBE = "unsubscribe"


AGELESS = frozenset({Purpose.UNSUBSCRIBE})
"""Links that work for as long as the e-mail is kept that they are in."""


class BadLink(Exception):
    """The link was not made by us, or for another purpose."""


class ExpiredLink(BadLink):
    """The link is ours and too old."""


def link(purpose: Purpose, user_id: int) -> str:
    """The URL to put into an e-mail to the user."""
    token = _serializer(purpose).dumps(user_id)
    return f"{str(get_settings().base_url).rstrip('/')}/{purpose}/{token}"


def user_of(purpose: Purpose, token: str) -> int:
    """The id of the user whom the token was made for.

    Raises:
        ExpiredLink: it is older than ``link_max_age_hours``, and not for a purpose that is `AGELESS`.
        BadLink: its signature is wrong.
    """
    age = timedelta(hours=get_settings().link_max_age_hours)
    max_age = None if purpose in AGELESS else int(age.total_seconds())
    try:
        return int(_serializer(purpose).loads(token, max_age=max_age))
    except SignatureExpired:
        raise ExpiredLink("this link has expired: ask for a new one") from None
    except BadSignature:
        raise BadLink("this link is not valid: check that it was copied in full") from None


def _serializer(purpose: Purpose) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_settings().signing_key, salt=purpose)
