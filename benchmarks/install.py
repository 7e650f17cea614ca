"""Install the peers, each into a place of its own under ``.workrow/bench``, once."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import NotRun
from benchmarks.server import HOME

NODE = HOME / "node"


def venv(peer: str, requirements: Sequence[str]) -> Path:
    """A virtual environment with those requirements, and the path of its Python.

    Raises:
        NotRun: it cannot be made.
    """
    home = HOME / "venvs" / peer
    python, stamp = home / "bin" / "python", home / ".installed"
    wanted = hashlib.sha256("\n".join(requirements).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(home)], home.parent)
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements], home)
        stamp.write_text(wanted)
    return python


def node_modules(requirements: Sequence[str]) -> str:
    """The packages in ``.workrow/bench/node``, and the path of node.

    Raises:
        NotRun: there is no node or npm, or they cannot be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotRun("node and npm are not on the PATH")
    stamp = NODE / ".installed"
    wanted = "\n".join(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        NODE.mkdir(parents=True, exist_ok=True)
        (NODE / "package.json").write_text('{"private": true}\n')
        _run([npm, "install", "--no-fund", "--no-audit", "--loglevel=error", *requirements], NODE)
        stamp.write_text(wanted)
    return node


def program(name: str) -> str:
    """The path of a program.

    Raises:
        NotRun: it is not on the PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise NotRun(f"{name} is not on the PATH")
    return found


def _run(argv: Sequence[str], directory: Path) -> None:
    ended = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        words = (ended.stderr or ended.stdout).strip().splitlines() or ["no word"]
        raise NotRun(f"{Path(argv[0]).name} {argv[1]} failed: {words[-1][:200]}")
