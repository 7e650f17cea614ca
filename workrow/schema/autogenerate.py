"""What alembic's autogenerate must not see."""

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

_UPSTREAM_TABLES = frozenset(
    {"procrastinate_jobs", "procrastinate_events", "procrastinate_workers", "procrastinate_periodic_defers"}
)


def include_object(
    item: SchemaItem, name: str | None, type_: str, reflected: bool, compare_to: SchemaItem | None
) -> bool:
    """For ``context.configure(include_object=…)``: False for procrastinate's tables and all of schema ``workrow``.

    Args:
        item: the table, column, index or constraint in question.
        name: its name.
        type_: its kind, as alembic calls it.
        reflected: whether it comes from the database.
        compare_to: its counterpart on the other side, if any.
    """
    table = item if isinstance(item, sa.Table) else getattr(item, "table", None)
    return table is None or not (table.schema == "workrow" or table.name in _UPSTREAM_TABLES)
