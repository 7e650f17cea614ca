"""The report on the jobs of the day, as it is mailed on Mondays."""

from datetime import UTC, datetime, timedelta

from examples.demo.acts.service import Client


async def fetch_report(url: str) -> str:
    """Have it rendered, in a process of a worker's; returns the page."""
    today = datetime.now(UTC).date()
    days = {"first_day": str(today - timedelta(days=6)), "last_day": str(today + timedelta(days=1))}
    async with Client(url) as client:
        asked = (await client.ask("POST", "/analytics/reports", json=days)).json()
        await client.until(f"/jobs/{asked['job_id']}", "status", "succeeded")
        return (await client.ask("GET", f"/analytics/reports/{asked['report_id']}/html")).text
