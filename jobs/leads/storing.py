"""Many leads at a time, in and out of their table."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import BigInteger, any_, bindparam, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Text

from jobs.leads import rules
from jobs.leads.models import Lead
from jobs.leads.values import Values

IDENTITIES = 0x6C65616473
"""The advisory lock's key ("leads" in ASCII) of who decides whose an e-mail address or a phone number is."""
COLUMNS = ("email", "phone", "name", "company", "country", "time_zone", "source")
ADD = f"COPY leads (id, import_id, tags, {', '.join(COLUMNS)}) FROM STDIN"
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


async def known(session: AsyncSession, rows: Iterable[Values]) -> Sequence[tuple[int, str | None, str | None]]:
    """Id, address and number of the leads that have one of the rows', the oldest first. See `decide`."""
    await decide(session)
    emails = [row.email for row in rows if row.email]
    phones = [row.phone for row in rows if row.phone]
    query = select(Lead.id, Lead.email, Lead.phone).where(
        or_(
            Lead.email == any_(bindparam("emails", emails, ARRAY(Text))),
            Lead.phone == any_(bindparam("phones", phones, ARRAY(Text))),
        )
    )
    return [(id, email, phone) for id, email, phone in await session.execute(query.order_by(Lead.id))]


async def add(session: AsyncSession, leads: Sequence[Values], import_id: int) -> list[int]:
    """New leads, by COPY; their ids, in order."""
    if not leads:
        return []
    query = select(func.nextval(func.pg_get_serial_sequence("leads", "id"))).select_from(
        func.generate_series(1, len(leads))
    )
    ids = list((await session.scalars(query)).all())
    connection: AsyncConnection[Any] | None
    connection = (await (await session.connection()).get_raw_connection()).driver_connection
    assert isinstance(connection, AsyncConnection)
    async with connection.cursor() as cursor, cursor.copy(ADD) as copy:
        await copy.write("".join(_line(id, import_id, lead) for id, lead in zip(ids, leads, strict=True)))
    return ids


async def change(session: AsyncSession, leads: Collection[Values]) -> None:
    """What is said of known leads: fills what they lack, adds tags, and scores those that this has changed."""
    if not leads:
        return
    changed = await session.scalars(CHANGE, {"rows": [asdict(lead) for lead in leads]})
    await session.execute(rules.scoring(Lead.id.in_(changed.all())))


def _line(id: int, import_id: int, lead: Values) -> str:
    """A line of COPY's text format: a value is in one line (`values.text_of`), so only backslashes are special."""
    values = (lead.email, lead.phone, lead.name, lead.company, lead.country, lead.time_zone, lead.source)
    cells = "\t".join("\\N" if value is None else value.replace("\\", "\\\\") for value in values)
    return f"{id}\t{import_id}\t{_array(lead.tags)}\t{cells}\n"


@lru_cache(4096)
def _array(tags: tuple[str, ...]) -> str:
    # an array's quotes and backslashes are those of JSON
    quoted = ",".join(json.dumps(tag, ensure_ascii=False) for tag in tags)
    return f"{{{quoted}}}".replace("\\", "\\\\")
