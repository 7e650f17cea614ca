"""The long description of the package is README.md without its links to files: a package index has none of them."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"\[([^\]]+)\]\((?!https?://)([^)]+)\)")


class LongDescription(MetadataHookInterface):
    """Called by hatchling when it builds."""

    def update(self, metadata: dict[str, Any]) -> None:
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": LINK.sub(_named, readme)}


def _named(link: re.Match[str]) -> str:
    """What a link says, and the file if it does not say that."""
    words, path = link.groups()
    return words if words.strip("`/") == path else f"{words} ({path})"
