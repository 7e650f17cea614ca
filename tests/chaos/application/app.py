"""The application's app as it is, but for what would outlast a run, or keep the judge from counting."""

from jobs.bootstrap import create_app
from jobs.webhooks import tasks
from tests.chaos.runs import note_run

# the days between the attempts of a delivery
tasks.STEPS = (1,) * len(tasks.STEPS)  # type: ignore[assignment]

app = create_app()
# here it is never the job that its workers die of
app.max_crashes = 1_000
app.around_run(note_run)
