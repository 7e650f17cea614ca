"""A schedule of every second, for workers that are killed; its database is named by SCHEDULE_DATABASE_URL."""

import os
from datetime import timedelta

import workrow

app = workrow.App(os.environ["SCHEDULE_DATABASE_URL"], lease=2)


@app.task(name="tick", every=timedelta(seconds=1))
async def tick(timestamp: int) -> None: ...
