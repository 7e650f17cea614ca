"""What the tasks of the chaos suite share.

``CHAOS_URL`` is the database.
"""

import os
import random

from sqlalchemy.ext.asyncio import create_async_engine

import workrow

URL = os.environ.get("CHAOS_URL", "postgresql://postgres@127.0.0.1:1/chaos")
ALWAYS = workrow.Retry(max_attempts=None, wait=0.5)
CONNECT_SECONDS = 5
ASK_SECONDS = 30
"""A task waits no longer than this for an answer of the database."""

# prepare_threshold: prepared statements do not last behind PgBouncer
engine = create_async_engine(
    URL.replace("postgresql://", "postgresql+psycopg://"),
    pool_size=12,
    pool_pre_ping=True,
    connect_args={"prepare_threshold": None, "connect_timeout": CONNECT_SECONDS},
)


def slowness() -> float:
    """Seconds: one job in eight takes long enough for a fault to find it in the middle."""
    return random.uniform(0.2, 1.5) if random.random() < 1 / 8 else 0.0
