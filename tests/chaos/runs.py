"""Who ran which job by which claim, outside of the database: a crash of the server may take a claim that was made.

Claims commit without waiting for the disk (docs/guarantees.md, "Nothing acknowledged is lost"). One that is lost is
made again by the same number, and the books know of one.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import workrow
from tests.chaos.facts import Facts, Run
from workrow.job import at_work

UNSYNCED_SECONDS = 2.0
"""How long a claim may wait for the disk: three times ``wal_writer_delay``, which is 0.2 s, and more if all is busy."""
LINE = re.compile(r"run of job (\d+): claim (\d+) of worker (\d+), made at (\d+\.\d+)$", re.MULTILINE)

logger = logging.getLogger(__name__)


def note_run(ctx: workrow.JobContext) -> Iterator[None]:
    """For ``around_run``: the worker's log tells of each run before it begins."""
    claimed: Any = at_work.get()
    # the monotonic clock is that of all processes of a machine
    made = f"claim {claimed.token} of worker {claimed.owner}, made at {claimed.claimed_at:.6f}"
    logger.info("run of job %d: %s", claimed.id, made)
    yield


def runs_in(logs: Path) -> list[Run]:
    """What the workers' logs tell."""
    found = [LINE.findall(path.read_text(errors="replace")) for path in sorted(logs.glob("worker-*.log"))]
    return [Run(int(job), int(claim), int(worker), float(made)) for each in found for job, claim, worker, made in each]


def claims_taken(facts: Facts) -> list[int]:
    """The jobs of the claims that a crash of the server took, one entry for each that ran.

    It was made just before a crash, or its answer arrived while the server was away, and once more after the crash.
    """
    made: defaultdict[tuple[int, int], set[float]] = defaultdict(set)
    for run in facts.runs:
        made[run.job, run.claim].add(run.made)
    return [
        job
        for (job, _), times in made.items()
        for first, again in pairwise(sorted(times))
        if any(
            crash.began - UNSYNCED_SECONDS <= first <= crash.ended and crash.began < again for crash in facts.crashes
        )
    ]
