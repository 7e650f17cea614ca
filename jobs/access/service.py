"""Who may call the service: keys are made, checked and revoked."""

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.access.models import ApiKey
from jobs.audit import service as audit

EVERYTHING = "*"
KEY = re.compile(r"wrk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class BadKey(Exception):
    """There is no such key, or it is revoked."""


class NotAllowed(Exception):
    """The key is right, and not for this."""


class BadName(Exception):
    """The name is taken, or cannot be one; or nobody has it."""


async def create(session: AsyncSession, name: str, scopes: Collection[str]) -> str:
    """Make a key; nobody can read it again.

    Args:
        session: in a transaction.
        name: who it is for: up to 100 letters, digits, dots, dashes and underscores.
        scopes: what it may do; "*" is everything.

    Returns:
        The key itself.

    Raises:
        BadName: the name is taken, or cannot be one.
    """
    if not NAME.fullmatch(name):
        raise BadName(f"{name!r} cannot be a key's name: write up to 100 letters, digits, dots, dashes and underscores")
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = {"name": name, "prefix": prefix, "hash": _hash(secret), "scopes": sorted(set(scopes))}
    statement = insert(ApiKey).values(row).on_conflict_do_nothing(index_elements=[ApiKey.name]).returning(ApiKey.id)
    if await session.scalar(statement) is None:
        raise BadName(f"there is a key named {name!r}: revoked ones keep their names, so choose another")
    details = {"prefix": prefix, "scopes": row["scopes"]}
    await audit.record(session, actor="keys", action="access.created", subject=f"api_key:{name}", details=details)
    return f"wrk_{prefix}_{secret}"


async def check(session: AsyncSession, key: str, scope: str) -> ApiKey:
    """The key, if it may do that. Its use is noted, once a minute at most.

    Raises:
        BadKey: it is none of ours, or it is revoked.
        NotAllowed: it lacks the scope.
    """
    parts = KEY.fullmatch(key)
    found = await session.scalar(select(ApiKey).where(ApiKey.prefix == parts[1])) if parts else None
    # a long random secret needs no slow hash; compared in constant time, so that it cannot be guessed piece by piece
    if parts is None or found is None or not secrets.compare_digest(found.hash, _hash(parts[2])):
        raise BadKey("this is no key of this service: check that it was copied in full")
    if found.revoked_at is not None:
        raise BadKey(f"the key {found.name} was revoked on {found.revoked_at:%Y-%m-%d}: ask for a new one")
    if not {EVERYTHING, scope} & set(found.scopes):
        raise NotAllowed(f"the key {found.name} may {', '.join(found.scopes)}, and this needs {scope}")
    long_ago = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - timedelta(minutes=1))
    await session.execute(update(ApiKey).where(ApiKey.id == found.id, long_ago).values(last_used_at=func.now()))
    return found


async def revoke(session: AsyncSession, name: str) -> None:
    """From the commit on nobody gets in with this key. Twice is no error.

    Raises:
        BadName: there is no such key.
    """
    key = await session.scalar(select(ApiKey).where(ApiKey.name == name))
    if key is None:
        raise BadName(f"there is no key named {name!r}")
    if key.revoked_at is None:
        key.revoked_at = func.now()
        await audit.record(session, actor="keys", action="access.revoked", subject=f"api_key:{name}")


async def keys(session: AsyncSession) -> Sequence[ApiKey]:
    """All keys by name, without their secrets, which nobody has."""
    return (await session.scalars(select(ApiKey).order_by(ApiKey.name))).all()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
