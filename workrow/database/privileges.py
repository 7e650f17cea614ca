"""What is said to a role that lacks a grant: one line, with the grant."""

from collections.abc import Iterator
from contextlib import contextmanager

from workrow.errors import InsufficientPrivilege

STATE = "42501"
"""insufficient_privilege; a row that a policy does not let in has the same."""
ANY = ("producer", "worker", "operator", "viewer")
WHAT = {"producer": "enqueue", "worker": "run jobs", "operator": "act on jobs, queues and limits", "viewer": "look"}

_ENQUEUE = {
    "enqueue_job",
    "enqueue_jobs",
    "enqueue_once",
    "copy_jobs",
    "read_queue_cap",
    "hide_arguments",
    "signal_job",
    "start_workflow",
    "append_nodes",
    "join_batch",
    "end_batch",
    "newest_job",
}
_WAIT = {"start_waiting", "stop_waiting", "read_ends", "read_job_state", "read_workflow", "read_relatives"}
_ACT = {
    "cancel_job", "requeue_job", "release_quarantined", "pause", "resume", "set_limit", "reset_limit",
    "pause_schedule", "resume_schedule", "delete_schedule",
    "cancel_workflow", "pause_workflow", "resume_workflow", "retry_workflow",
}  # fmt: skip


def kind_for(statement: str) -> str:
    """The kind of role that may run ``<statement>.sql``."""
    if statement in _ENQUEUE | _WAIT:
        return "producer"
    if statement in _ACT:
        return "operator"
    return "viewer" if statement.startswith("read_") else "worker"


@contextmanager
def granted(statement: str) -> Iterator[None]:
    """Raise InsufficientPrivilege for an error in the block that says that ``<statement>.sql`` lacks a grant."""
    try:
        yield
    except Exception as error:
        if (missing := refused(error, kind_for(statement))) is None:
            raise
        raise missing from None


def refused(error: BaseException, *kinds: str) -> InsufficientPrivilege | None:
    """What to raise instead of an error of any driver, or of what has wrapped it; None if it is about something else.

    Args:
        error: what was caught.
        *kinds: of the roles that may do it.
    """
    for each in (error, getattr(error, "orig", None), error.__cause__):
        if STATE in (getattr(each, "sqlstate", None), getattr(each, "pgcode", None)):
            return InsufficientPrivilege(_in_words(each, kinds))
    return None


def _in_words(error: BaseException | None, kinds: tuple[str, ...]) -> str:
    # each driver has its own place for the server's words
    words = error.diag.message_primary if hasattr(error, "diag") else error.__cause__ or error  # type: ignore[union-attr]
    said = " ".join(str(words).split())
    if "row-level security" in said:
        return f"{said}: a policy of that table has to let this role do so"
    if said.startswith("must be owner"):
        return f"{said}: only the role that installed the schema changes it"
    if len(kinds) == 1:
        return f"{said}: to {WHAT[kinds[0]]}, a role needs {how(*kinds)}"
    return f"{said}: a role needs what it is for: {how(*kinds)}"


def how(*kinds: str) -> str:
    """The call that grants what roles of these kinds need."""
    return f"workrow.schema.grant(url, role, {' or '.join(repr(kind) for kind in kinds)})"
