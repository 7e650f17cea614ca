"""The report on the jobs of the day, as it is mailed on Mondays."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import psycopg

from examples.demo.acts.service import Client
from examples.demo.processes import Processes, script

AGGREGATED = """SELECT count(*) FROM workrow.jobs
                WHERE task = 'analytics.aggregate' AND created_at >= %s AND status = 'succeeded'"""


def aggregate(processes: Processes, environment: Mapping[str, str]) -> None:
    """Count the jobs of the day now, and not at five past the hour."""
    since = datetime.now(UTC)
    defer = (script("procrastinate"), "--app=app.app", "defer", "analytics.aggregate")
    processes.run("aggregate", *defer, environment=environment)
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        processes.wait_for("the day's figures", lambda: (connection.execute(AGGREGATED, [since]).fetchone() or [0])[0])


async def fetch_report(url: str) -> str:
    """Have it rendered, in a process of a worker's; returns the page."""
    today = datetime.now(UTC).date()
    days = {"first_day": str(today - timedelta(days=6)), "last_day": str(today)}
    async with Client(url) as client:
        asked = (await client.ask("POST", "/analytics/reports", json=days)).json()
        await client.until(f"/jobs/{asked['job_id']}", "status", "succeeded")
        return (await client.ask("GET", f"/analytics/reports/{asked['report_id']}/html")).text
