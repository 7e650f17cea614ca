"""An app that child processes find, with a task that asks its context."""

import os

import workrow

app = workrow.App(lambda: os.environ["WORKROW_TEST_PROCESS_APP"])


@app.task(name="last", run_in="process", retry=workrow.Retry(max_attempts=2, wait=0))
def last(ctx: workrow.JobContext) -> str:
    if ctx.attempt == 1:
        raise ValueError(f"last: {ctx.is_last_attempt}")
    return f"attempt {ctx.attempt}, last: {ctx.is_last_attempt}"
