"""The code blocks of documents that teach tasks with Celery, run through the door as they are written.

    python -m tests.celery.seeds DIRECTORY

takes the blocks out of the documents in DIRECTORY, ``001_….txt``, into data/seeds: nothing else of these is kept.
"""

import re
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parents[1] / "data" / "seeds"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WORDS = re.compile(r"celery|\bapp\.task\b|\.delay\(|\.apply_async\(|\.retry\(|beat_schedule|asyncio|TASK_DEFAULT")
"""Who has one of these uses Celery, or is a part of something that does."""
HERE = re.compile(r"^(?P<indent> *)#: block (?P<number>\d+)$", re.MULTILINE)
LEFT_OUT = re.compile(
    r"^(?P<head> *(?:async )?def [^\n]*:[^\n]*\n)(?P<comments>(?P<indent> +)#[^\n]*\n)+(?=\S|\n|\Z)", re.MULTILINE
)
"""A function of which nothing is told but comments."""
PASS = re.compile(r"^(?P<comment>(?P<indent> +)#[^\n]*\n) +pass$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: as the fence says.
        text: what is in it.
    """

    language: str
    text: str

    @property
    def uses_celery(self) -> bool:
        return WORDS.search(self.text) is not None


def blocks_of(text: str) -> list[Block]:
    """All fenced blocks of a document, in its order."""
    return [Block(*found) for found in FENCED.findall(text)]


def every() -> dict[str, Block]:
    """All blocks, as ``001-3``: the third of the document 001."""
    return {
        f"{path.stem}-{number}": block
        for path in sorted(DATA.glob("*.md"))
        for number, block in enumerate(blocks_of(path.read_text()), 1)
    }


def ours(block: Block) -> str:
    """With our import, and where only a comment stands in for what is done, a call of ``left_out``."""
    if block.language == "bash":
        return re.sub(r"^celery ", "python -m workrow.celery ", block.text, flags=re.MULTILINE)
    text = re.sub(r"^( *)(from|import) celery\b", r"\1\2 workrow.celery", block.text, flags=re.MULTILINE)
    text = LEFT_OUT.sub(lambda found: f"{found[0]}{found['indent']}left_out(locals())\n", text)
    return PASS.sub(r"\g<comment>\g<indent>left_out(locals())", text)


def build(document: str, to: Path) -> None:
    """Write the project of a document: its blocks, and around them what they need.

    Args:
        document: ``001``.
        to: an empty directory.
    """
    blocks = every()

    def block(found: re.Match[str]) -> str:
        lines = ours(blocks[f"{document}-{found['number']}"]).splitlines()
        return "\n".join(found["indent"] + line if line else line for line in lines)

    for path in sorted((DATA / document).rglob("*.txt")):
        target = to / path.relative_to(DATA / document).with_suffix(".py")
        for parent in [each for each in target.parents if to in each.parents]:
            parent.mkdir(parents=True, exist_ok=True)
            (parent / "__init__.py").touch()
        target.write_text(HERE.sub(block, path.read_text()))
    (to / "journal.py").write_text((DATA / "journal.txt").read_text())
