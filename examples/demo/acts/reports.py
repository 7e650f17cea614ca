"""The report on the jobs of the day, as it is mailed on Mondays."""

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from examples.demo.client import LOOK_SECONDS, Client
from jobs.settings import get_settings


async def fetch_report(url: str) -> str:
    """Have it rendered, in a process of a worker's; returns the page."""
    today = datetime.now(ZoneInfo(get_settings().account_timezone)).date()
    days = {"first_day": str(today - timedelta(days=6)), "last_day": str(today)}
    async with Client(url) as client:
        asked = (await client.ask("POST", "/analytics/reports", json=days)).json()
        while not await client.has_succeeded(asked["job_id"]):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
        return (await client.ask("GET", f"/analytics/reports/{asked['report_id']}/html")).text
