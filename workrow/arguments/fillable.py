"""Annotations that pydantic has a schema of, and that no JSON becomes a value of."""

from collections.abc import Iterator, Mapping
from typing import Any

OBJECTS = frozenset({"is-instance", "is-subclass", "ellipsis"})
"""Schemas of what is an object of Python's already."""
CONVERTS = frozenset({"function-before", "function-wrap", "function-plain"})
"""Functions of the annotation's own: what they take nobody knows."""
NO_KEY = frozenset(
    {"list", "tuple", "set", "frozenset", "dict", "model", "dataclass", "typed-dict", "named-tuple", "none"}
)
"""Schemas of what no key of a JSON object becomes: keys are texts."""
ELSEWHERE = frozenset({"lax_schema", "python_schema", "default", "metadata", "expected", "members", "serialization"})
"""Parts of a schema that read no JSON, or not strictly."""


def why_never(schema: Any) -> str:
    """Why no JSON becomes a value of a core schema, or of one inside it; empty: some does."""
    schemas = [*_reading(schema)]
    known = {each["ref"]: each for each in schemas if "ref" in each}
    for each in schemas:
        if each["type"] in OBJECTS:
            return "nothing in JSON is such an object"
        if each["type"] == "enum" and not _has_member(each, (str, int, float, type(None))):
            return f"no member of {each['cls'].__name__} has a value that is in JSON"
        if each["type"] == "dict" and not _is_key(each.get("keys_schema", {"type": "any"}), known):
            return "a dict whose keys are no texts, nor written as such"
    return ""


def _reading(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The schemas inside of one that JSON is read by."""
    if not isinstance(schema, Mapping):
        for part in schema if isinstance(schema, list | tuple) else ():
            yield from _reading(part)
        return
    kind = schema.get("type")
    if isinstance(kind, str):
        yield schema
    if kind in CONVERTS:
        return
    for name, part in schema.items():
        if name not in ELSEWHERE:
            yield from _reading(part[:1] if kind == "chain" and name == "steps" else part)


def _has_member(schema: Mapping[str, Any], kinds: type | tuple[type, ...]) -> bool:
    return "missing" in schema or any(isinstance(member.value, kinds) for member in schema["members"])


def _is_key(schema: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether some text becomes a value of this schema."""
    kind = schema["type"]
    if kind == "enum":
        return "sub_type" in schema or _has_member(schema, str)
    if kind == "literal":
        return any(isinstance(value, str) for value in schema["expected"])
    if kind == "union":
        return any(_is_key(each[0] if isinstance(each, tuple) else each, known) for each in schema["choices"])
    if kind == "definition-ref":
        return schema["schema_ref"] not in known or _is_key(known[schema["schema_ref"]], known)
    inner = {"lax-or-strict": "strict_schema", "json-or-python": "json_schema"}.get(kind, "schema")
    if kind == "chain":
        return _is_key(schema["steps"][0], known)
    if kind not in NO_KEY and kind not in CONVERTS and inner in schema:
        return _is_key(schema[inner], known)
    return kind not in NO_KEY or "serialization" in schema
