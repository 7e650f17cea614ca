"""Functions, triggers and views as they are now, each in a file of its own that can be run again and again.

Every upgrade to the latest version makes those whose text is another than the one they were made from, or whose
definition in the catalogue was changed since. Hashes of both are kept in ``workrow.installed_objects``.
"""

from dataclasses import dataclass
from hashlib import md5
from importlib import resources

from workrow.schema import versions
from workrow.schema.targets import Run

# the first version that has workrow.installed_objects
SINCE = 5

_CATALOGUE = (resources.files(__name__) / "catalogue.sql").read_text(encoding="utf-8").strip()


@dataclass(frozen=True, slots=True)
class Changed:
    """A function, trigger or view that is not as it was made.

    Attributes:
        name: its kind and name, such as ``functions/end_job_v2``.
        expected: md5 of its definition in the catalogue when it was made.
        found: md5 of its definition now; None: it is gone.
    """

    name: str
    expected: str
    found: str | None


def changed(run: Run) -> tuple[Changed, ...]:
    """What was changed or dropped by hand since the last upgrade."""
    query = f"""
        SELECT made.name, made.found_hash, found.hash
        FROM workrow.installed_objects AS made
        LEFT JOIN ({_CATALOGUE}) AS found USING (name)
        WHERE found.hash IS DISTINCT FROM made.found_hash
        ORDER BY made.name
    """
    return tuple(Changed(*row) for row in run(query))


def make(run: Run) -> None:
    """Make what has another text than it was made from, or was changed since; nothing else is written."""
    stale = {row.name for row in changed(run)}
    made = {str(name): text_hash for name, text_hash in run("SELECT name, text_hash FROM workrow.installed_objects")}
    texts = versions.objects()
    stale |= {name for name, text in texts.items() if made.get(name) != _hash(text)}
    # a view that was dropped and made again has lost its comments
    if any(name.startswith("views/") for name in stale):
        stale |= {name for name in texts if name.startswith("comments/")}
    if stale:
        for statement in statements(stale):
            run(statement)


def statements(names: set[str] | None = None) -> list[str]:
    """What makes these objects (None: all of them), and notes that they are made."""
    texts = {name: text for name, text in versions.objects().items() if names is None or name in names}
    return [*texts.values(), _note(texts)]


def _note(texts: dict[str, str]) -> str:
    rows = ", ".join(f"('{name}', '{_hash(text)}')" for name, text in texts.items())
    return f"""
        INSERT INTO workrow.installed_objects (name, text_hash, found_hash)
        SELECT made.name, made.hash, coalesce(found.hash, made.hash)
        FROM (VALUES {rows}) AS made (name, hash)
        LEFT JOIN ({_CATALOGUE}) AS found USING (name)
        ON CONFLICT (name) DO UPDATE SET text_hash = excluded.text_hash, found_hash = excluded.found_hash
    """.strip()


def _hash(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
