"""Functions, triggers, views and who may use them, as they are now, each in a file that can be run again and again.

Every upgrade to the latest version makes those whose text is another than the one they were made from, or whose
definition in the catalogue was changed since. Hashes of both are kept in ``workrow.installed_objects``. It
makes indexes that are gone or invalid, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from importlib import resources
from typing import Any

from workrow.schema import versions
from workrow.schema.targets import Run

# the first version that has workrow.installed_objects
SINCE = 5

_STYLE = {"DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "TimeZone": "UTC", "quote_all_identifiers": "off"}
_IN_OUR_STYLE = "SELECT " + ", ".join(
    f"set_config('workrow.{name}', current_setting('{name}'), true), set_config('{name}', '{value}', true)"
    for name, value in _STYLE.items()
)
"""The server writes times and names in a view's text as the session does, so hashes are taken in one style for all."""
_IN_THEIR_STYLE = "SELECT " + ", ".join(
    f"set_config('{name}', current_setting('workrow.{name}', true), true)" for name in _STYLE
)
"""What the caller's transaction does afterwards is its own affair."""
_LOST_INDEXES = """
SELECT name, CAST(CAST(indexrelid AS regclass) AS text)
FROM unnest(string_to_array('{names}', ' ')) AS name
LEFT JOIN (pg_catalog.pg_index JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid) ON
    relname = name
    AND (relnamespace = CAST('workrow' AS regnamespace) OR pg_catalog.pg_table_is_visible(indexrelid))
WHERE indisvalid IS NOT TRUE
ORDER BY name
"""

_CATALOGUE = (resources.files(__name__) / "catalogue.sql").read_text(encoding="utf-8").strip()


@dataclass(frozen=True, slots=True)
class Changed:
    """A function, trigger, view or index that is not as it was made.

    Attributes:
        name: its kind and name, such as ``functions/end_job_v2``.
        expected: hash of its definition in the catalogue when it was made: md5, after the server's major version where
            the server writes the text anew (a view's); of an index "valid".
        found: hash of its definition now, of an index "invalid"; None: it is gone.
    """

    name: str
    expected: str
    found: str | None


def changed(run: Run) -> tuple[Changed, ...]:
    """What was changed or dropped by hand since the last upgrade."""
    # a view's text from another major version of the server cannot be compared
    comparable = [each for each in _differing(run) if _server(each.found) in (None, _server(each.expected))]
    lost = [Changed(f"indexes/{name}", "valid", "invalid" if there else None) for name, there in _lost_indexes(run)]
    return (*comparable, *lost)


def make(run: Run) -> None:
    """Make what has another text than it was made from, or was changed since; nothing else is written."""
    for index, there in _lost_indexes(run):
        if there:
            run(f"DROP INDEX {there}")
        run(versions.indexes()[index])
    stale = {row.name for row in _differing(run)}
    made = {str(name): text_hash for name, text_hash in run("SELECT name, text_hash FROM workrow.installed_objects")}
    texts = versions.objects()
    if made.keys() - texts.keys():
        run(_forget_others(texts))
    stale |= {name for name, text in texts.items() if made.get(name) != _hash(text)}
    for name in list(stale & texts.keys()):
        stale.update(_standing_on(name, texts))
    # a view that was dropped and made again has lost its comments; and whatever is made has to be granted
    if any(name.startswith("views/") for name in stale):
        stale |= {name for name in texts if name.startswith("comments/")}
    if stale & texts.keys():
        stale |= {name for name in texts if name.startswith("rights/")}
    texts = {name: text for name, text in texts.items() if name in stale}
    for name, text in texts.items():
        run(_in_place_of(name, text, _standing_on(name, texts)))
    if texts:
        run(_IN_OUR_STYLE)
        run(_note(texts))
        run(_IN_THEIR_STYLE)


def statements() -> list[str]:
    """What makes all objects, and notes that they are made."""
    texts = versions.objects()
    return [*texts.values(), _forget_others(texts), _IN_OUR_STYLE, _note(texts), _IN_THEIR_STYLE]


def _differing(run: Run) -> list[Changed]:
    query = f"""
        SELECT made.name, made.found_hash, found.hash
        FROM workrow.installed_objects AS made
        LEFT JOIN ({_CATALOGUE}) AS found USING (name)
        WHERE found.hash IS DISTINCT FROM made.found_hash
        ORDER BY made.name
    """
    run(_IN_OUR_STYLE)
    found = [Changed(*row) for row in run(query)]
    run(_IN_THEIR_STYLE)
    return found


def _lost_indexes(run: Run) -> Sequence[Any]:
    """Name of each index of ours that is gone or invalid, and how to call it if it is there."""
    return run(_LOST_INDEXES.format(names=" ".join(versions.indexes())))


def _server(found: str | None) -> str | None:
    return None if found is None else found.rpartition("-")[0]


def _standing_on(name: str, texts: dict[str, str]) -> list[str]:
    """The object, and the views and parsed functions that use it, in the order in which to drop them."""
    tied = [name]
    for other, text in texts.items():
        parsed = other.startswith("views/") or "BEGIN ATOMIC" in text
        if parsed and other != name and versions.needs(text, tied):
            tied.append(other)
    return tied[:0:-1]


def _in_place_of(name: str, text: str, standing_on: list[str]) -> str:
    """The statement that makes an object over whatever somebody made of it.

    CREATE OR REPLACE keeps a view's columns and a function's result as they are: where these were changed, it is
    dropped first, with what of ours stands on it.
    """
    if not name.startswith(("functions/", "views/")):
        return text
    drops = "".join(f"DROP {_sql_name(each)};\n    " for each in [*standing_on, name])
    return f"""
DO $make$
DECLARE
    definition text := $definition${text}$definition$;
BEGIN
    EXECUTE definition;
EXCEPTION WHEN invalid_table_definition OR invalid_function_definition THEN
    {drops}EXECUTE definition;
END
$make$
""".strip()


def _sql_name(name: str) -> str:
    folder, _, plain = name.partition("/")
    schema = "" if plain.startswith("procrastinate_") else "workrow."
    return f"{'VIEW' if folder == 'views' else 'FUNCTION'} IF EXISTS {schema}{plain}"


def _forget_others(texts: dict[str, str]) -> str:
    """Nothing is to be told of what a version has dropped."""
    names = ", ".join(f"'{name}'" for name in texts)
    return f"DELETE FROM workrow.installed_objects WHERE name NOT IN ({names})"


def _note(texts: dict[str, str]) -> str:
    rows = ", ".join(f"('{name}', '{_hash(text)}')" for name, text in texts.items())
    return f"""
        INSERT INTO workrow.installed_objects (name, text_hash, found_hash)
        -- the catalogue has of comments and rights what was noted of them, and not yet what is noted now
        SELECT
            made.name, made.hash,
            CASE
                WHEN made.name ^@ 'comments/' OR made.name ^@ 'rights/' THEN made.hash
                ELSE coalesce(found.hash, made.hash)
            END
        FROM (VALUES {rows}) AS made (name, hash)
        LEFT JOIN ({_CATALOGUE}) AS found USING (name)
        ON CONFLICT (name) DO UPDATE SET text_hash = excluded.text_hash, found_hash = excluded.found_hash
    """.strip()


def _hash(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
