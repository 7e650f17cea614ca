"""Tasks with types, for child processes."""

import dataclasses
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclasses.dataclass
class Order:
    id: UUID
    total: Decimal
    at: datetime


def double(order: Order, ids: list[UUID]) -> Order:
    assert all(isinstance(each, UUID) for each in ids)
    return dataclasses.replace(order, total=2 * order.total)
