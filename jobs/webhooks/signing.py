"""Signatures in the scheme of https://www.standardwebhooks.com, version v1: HMAC-SHA256 with a shared secret."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"
KEY_BYTES = 32


def new_secret() -> str:
    """A secret for a subscription: ``whsec_`` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def headers(event_id: str, body: bytes, keys: Iterable[str], at: datetime) -> dict[str, str]:
    """What the receiver needs to know that the message is ours, whole, and new.

    Args:
        event_id: the same in every attempt, so that the receiver can tell a repeat.
        body: what is sent.
        keys: the secrets that hold; while one is replaced, the old one as well: a signature for each.
        at: the time of the attempt; receivers refuse what is minutes old.
    """
    timestamp = str(int(at.timestamp()))
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
