"""procrastinate's own schema: read from the installed package, pinned by its hash."""

import re
from hashlib import sha256
from importlib.metadata import version

from procrastinate.schema import SchemaManager

from workrow.errors import UpstreamMismatch

# sha256 of procrastinate/sql/schema.sql → the release it stands for
KNOWN = {"c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009": "3.10.0"}


def read() -> tuple[str, str]:
    """The text of procrastinate's schema, and the release it stands for.

    Raises:
        UpstreamMismatch: the installed package brings another text.
    """
    text = SchemaManager.get_schema()
    digest = sha256(text.encode()).hexdigest()
    if digest not in KNOWN:
        raise UpstreamMismatch(
            f"procrastinate {version('procrastinate')} is installed, whose schema has sha256 {digest}, "
            f"which this workrow does not know: install procrastinate {' or '.join(KNOWN.values())}, or upgrade workrow"
        )
    # 3.10.0 has a dash in a comment, which a LATIN1 database cannot hold
    return text.encode("ascii", "replace").decode(), KNOWN[digest]


# our schema replaces these; a downgrade takes them from the text, which is pinned, so patterns will do
_REPLACED = "fetch_job_v2|finish_job_v1|cancel_job_v1|retry_job_v1|retry_job_v2"
_PATTERNS = {
    "functions": rf"^CREATE FUNCTION procrastinate_(?:{_REPLACED})\(.*?^\$\$;$",
    "pruning": r"^CREATE FUNCTION procrastinate_prune_stalled_workers_v1\(.*?^\$\$;$",
    "triggers": r"^CREATE TRIGGER .*?;$",
    "indexes": (
        r"^CREATE (?:UNIQUE )?INDEX "
        r"procrastinate_jobs_(?:queueing_lock|lock|queue_name|id_lock|priority)_idx_v1 .*?;$"
    ),
}


def parts(text: str, kind: str) -> list[str]:
    """The statements of ``text`` that we replace. ``kind``: "functions", "triggers", "indexes" (version 2) or "pruning"
    (version 6)."""
    return re.findall(_PATTERNS[kind], text, flags=re.MULTILINE | re.DOTALL)
