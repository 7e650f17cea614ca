"""What any client can read: no public view holds a time beyond Python's years."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

VIEWS = "SELECT viewname FROM pg_views WHERE schemaname = 'workrow' ORDER BY 1"


@pytest.mark.parametrize("when", ["infinity", "-infinity", "294276-01-01", "4000-01-01 BC"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_every_view_is_read_by_a_plain_client(conn: psycopg.Connection[Any], when: str, zone: str) -> None:
    conn.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    conn.execute(
        """INSERT INTO procrastinate_jobs (task_name, queue_name, scheduled_at, expires_at)
           VALUES ('t', 'q', %(at)s, %(at)s)""",
        {"at": when},
    )
    conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES ('-infinity')")
    for (view,) in conn.execute(VIEWS).fetchall():
        if view != "all_jobs":  # for our own connections, which read any time
            conn.execute(sql.SQL("SELECT * FROM workrow.{}").format(sql.Identifier(view))).fetchall()
    assert conn.execute("SELECT last_heartbeat, heartbeat_age_seconds, alive FROM workrow.workers").fetchall() == [
        (None, None, False)
    ]
