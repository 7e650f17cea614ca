"""What users of procrastinate do today for a worker that died; to be deleted once the worker rescues by itself."""

import procrastinate.exceptions

import workrow


async def rescue_jobs_of(worker_id: int, database_url: str) -> None:
    """Put the jobs that the dead worker `worker_id` left in `doing` back into the queue.

    procrastinate's documented way is a periodic task that retries what `get_stalled_jobs` finds, half a minute after
    the last heartbeat. Whoever killed the worker need not wait to know that it is dead.
    """
    app = workrow.App(database_url)
    async with app.open_async():
        for job in await app.job_manager.list_jobs_async(status="doing", worker_id=worker_id):
            try:
                await app.job_manager.retry_job(job)
            except procrastinate.exceptions.ConnectorException:
                # its last statement reached the server after all: the job is finished
                continue
