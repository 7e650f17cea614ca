"""Whether SQL would end the transaction that it runs in."""

import re

_BLANK = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_END = re.compile(
    rf"{_BLANK}((?:COMMIT|END|ABORT|PREPARE\s+TRANSACTION)\b|ROLLBACK\b(?!\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b))",
    re.IGNORECASE | re.DOTALL,
)
_TOKEN = re.compile(
    r"""[eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(\w*)\$.*?\$\1\$ | --[^\n]* | /\*.*?\*/ | (;)""",
    re.VERBOSE | re.DOTALL,
)
_CREATE = re.compile(rf"{_BLANK}CREATE\b", re.IGNORECASE | re.DOTALL)


def ends_transaction(text: str) -> str | None:
    """The first command in it that commits, or rolls back as a whole; None if there is none.

    It costs a plain statement the look at its first word.
    """
    found = _END.match(text)
    if found is None and ";" in text and not _CREATE.match(text):  # a function's body may have an END
        for token in _TOKEN.finditer(text):
            if token[2] and (found := _END.match(text, token.end())):
                break
    return None if found is None else " ".join(found[1].upper().split())
