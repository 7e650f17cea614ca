"""Many leads at a time, in and out of their table."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import BigInteger, CollectionAggregate, any_, bindparam, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Text

from jobs.leads.models import Lead
from jobs.leads.scoring import score
from jobs.leads.values import Values

IDENTITIES = 0x6C65616473
"""The advisory lock's key ("leads" in ASCII) of who decides whose an e-mail address or a phone number is."""
COLUMNS = ("email", "phone", "name", "company", "country", "time_zone", "source")
ADD = f"COPY leads (import_id, tags, {', '.join(COLUMNS)}) FROM STDIN"
CHANGE = (
    text(
        f"""
    UPDATE leads AS lead
    SET {", ".join(f"{name} = coalesce(lead.{name}, row.{name})" for name in COLUMNS)},
        tags = ARRAY(SELECT DISTINCT each FROM unnest(lead.tags || row.tags) AS each ORDER BY each),
        rules_version = 0,
        updated_at = now()
    FROM jsonb_to_recordset(:rows) AS row(id bigint, tags text[], {", ".join(f"{name} text" for name in COLUMNS)})
    WHERE lead.id = row.id
        AND (NOT lead.tags @> row.tags OR {" OR ".join(f"lead.{n} IS NULL AND row.{n} IS NOT NULL" for n in COLUMNS)})
    RETURNING lead.id
    """
    )
    .bindparams(bindparam("rows", type_=JSONB))
    .columns(id=BigInteger)
)


async def decide(session: AsyncSession) -> None:
    """Be the only one, until this transaction ends, who gives addresses and numbers to leads."""
    await session.execute(select(func.pg_advisory_xact_lock(IDENTITIES)))


async def known(session: AsyncSession, rows: Sequence[Values]) -> Sequence[tuple[int, str | None, str | None]]:
    """Id, address and number of the leads that have one of the rows', the oldest first. See `decide`."""
    await decide(session)
    query = select(Lead.id, Lead.email, Lead.phone).where(
        or_(Lead.email == _any(row.email for row in rows), Lead.phone == _any(row.phone for row in rows))
    )
    return [(id, email, phone) for id, email, phone in await session.execute(query.order_by(Lead.id))]


def _any(values: Iterable[str | None]) -> CollectionAggregate[bool]:
    # one text that the server cuts is a fifth of the work of an array of thousands; no value has a line break
    return any_(func.string_to_array("\n".join(filter(None, values)), "\n", type_=ARRAY(Text)))


async def add(session: AsyncSession, leads: Sequence[Values], import_id: int) -> tuple[int, int] | None:
    """New leads, by COPY; their ids are from the first to the second one that is returned. None: there are none."""
    if not leads:
        return None
    ids = func.pg_get_serial_sequence("leads", "id")
    before = (await session.execute(select(func.nextval(ids)))).scalar_one()
    connection: AsyncConnection[Any] | None
    connection = (await (await session.connection()).get_raw_connection()).driver_connection
    assert isinstance(connection, AsyncConnection)
    async with connection.cursor() as cursor, cursor.copy(ADD) as copy:
        await copy.write(lines(import_id, leads))
    return before + 1, (await session.execute(select(func.currval(ids)))).scalar_one()


async def change(session: AsyncSession, leads: Collection[Values]) -> None:
    """What is said of known leads: fills what they lack, adds tags, and scores those that this has changed."""
    if not leads:
        return
    changed = await session.scalars(CHANGE, {"rows": [asdict(lead) for lead in leads]})
    await score(session, Lead.id.in_(changed.all()))


def lines(import_id: int, leads: Iterable[Values]) -> str:
    """Leads in COPY's text format. A value is not empty and has no control characters: one of them stands for NULL."""
    null = "\x01"
    text = "".join(
        f"{import_id}\t{_array(lead.tags)}\t{lead.email or null}\t{lead.phone or null}\t{lead.name or null}\t"
        f"{lead.company or null}\t{lead.country or null}\t{lead.time_zone or null}\t{lead.source or null}\n"
        for lead in leads
    )
    return text.replace("\\", "\\\\").replace(null, "\\N")


@lru_cache(4096)
def _array(tags: tuple[str, ...]) -> str:
    # an array's quotes and backslashes are those of JSON
    return f"{{{','.join(json.dumps(tag, ensure_ascii=False) for tag in tags)}}}"
