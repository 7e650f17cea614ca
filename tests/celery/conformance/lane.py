"""A process that makes one experiment after the other: reads rows, a line of JSON each, and writes what it saw."""

import contextlib
import json
import os
import re
import sys
from typing import Any

from tests.celery.conformance import lab, rows
from tests.celery.conformance.canvases import Lane
from tests.celery.conformance.experiments import experiment_of
from tests.celery.conformance.looking import shown
from tests.celery.conformance.tasks import app
from tests.celery.conformance.values import NotUnderstood
from tests.celery.conformance.words import REAL
from tests.celery.conformance.workers import worker
from tests.celery.notation import UUID, observe

assert rows
MODULES = re.compile(r"\btests\.celery\.(notation|conformance\.(tasks|values))\b")
QUEUES = ("-Q", "celery,other")


class Standing:
    """The worker that rows share, from the first that wants it to one that wants none."""

    def __init__(self) -> None:
        self._running = contextlib.ExitStack()

    def want(self) -> None:
        if not lab.standing or lab.standing[0].process.poll() is not None:
            self.stop()
            lab.standing[:] = [self._running.enter_context(worker(*QUEUES))]

    def stop(self) -> None:
        self._running.close()
        lab.standing.clear()


def see(table: str, row: dict[str, Any], standing: Standing) -> Any:
    """What comes of a row."""
    if table == "canvas":
        standing.want()
        lab.begin()
        return observe(row, Lane())
    experiment = experiment_of(row)
    if experiment.alone:
        standing.stop()
        lab.store().empty()
    else:
        standing.want()
    lab.begin()
    given = row.get("input", {})
    try:
        seen = experiment.run(given) if experiment.reads else experiment.run()
    finally:
        lab.store().drop_what_waits()
        if experiment.alone:
            lab.store().empty()
    return json.loads(UUID.sub("<id>", json.dumps(seen, default=shown)))


def like_the_table(seen: Any) -> Any:
    """With the names that modules had when the table was written."""
    text = MODULES.sub("behaviour_on_celery", json.dumps(seen))
    return json.loads(text if REAL else re.sub(r"\bworkrow\.celery\b", "celery", text))


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what tasks and libraries print is no answer
    app.set_current()
    standing = Standing()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                answer = {"seen": like_the_table(see(asked["table"], asked["row"], standing))}
            except NotUnderstood as error:
                answer = {"failed": f"not understood: {error}"}
            except Exception as error:
                answer = {"failed": f"{type(error).__name__}: {error}"[:500]}
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        standing.stop()
    if REAL:
        os._exit(0)  # its results complain when they are deleted while Python shuts down


if __name__ == "__main__":
    main()
