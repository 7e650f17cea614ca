"""What the demo's books count, where a run of it decides by chance whether it happens."""

from typing import Any

import psycopg

import workrow
from examples.demo.books import read_figures
from examples.demo.registration import Registration
from jobs.chats import tasks


async def test_a_killed_worker_s_job_that_a_newer_one_has_superseded_is_recovered(
    application: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    left = [(await tasks.persist_messages.enqueue(None, chat_id=chat_id)).id for chat_id in (1, 2)]
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = ANY(%s)", (left,))
    await tasks.persist_messages.enqueue(None, chat_id=1)
    conn.execute("SELECT workrow.supersede_job_v1(%s)", (left[0],))
    conn.execute("UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = %s", (left[1],))
    assert read_figures(conn, Registration([], ""), left)["recovered"] == 1
