"""The garbage collector of a process that is a worker's own."""

import contextlib
import gc
from collections.abc import Iterator

YOUNG = 10_000
"""New containers after which it looks for garbage, unless the process asks for more, or for no collector at all. With
Python's 700 (2,000 since 3.13) it runs for every 270 jobs, for a batch of claimed ones is that many living objects;
this and `gc.freeze` took a fifth off the CPU of a no-op job (13.7 us to 11.1, `python -m benchmarks drain`)."""


@contextlib.contextmanager
def seldom() -> Iterator[None]:
    """Let it look less often, and not at what was there before the first job: modules, the app, its tasks."""
    threshold, *others = gc.get_threshold()
    frozen = gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    if threshold:
        gc.set_threshold(max(threshold, YOUNG), *others)
    try:
        yield
    finally:
        gc.set_threshold(threshold, *others)
        if not frozen:
            gc.unfreeze()
