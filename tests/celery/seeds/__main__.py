"""Take the blocks out of documents."""

import sys
from pathlib import Path

from tests.celery.seeds import DATA, blocks_of

for path in sorted(Path(sys.argv[1]).glob("*.txt")):
    blocks = [f"```{block.language}\n{block.text}```\n" for block in blocks_of(path.read_text())]
    (DATA / f"{path.name[:3]}.md").write_text("\n".join(blocks))
