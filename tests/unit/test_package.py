"""What a package index shows of the package."""

import re
import subprocess
import sys
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = """
import os, sys
from hatchling import build
os.chdir(sys.argv[1])
print(build.prepare_metadata_for_build_wheel(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Message:
    """The metadata of the wheel, as the build backend makes them."""
    directory = tmp_path_factory.mktemp("metadata")
    command = [sys.executable, "-c", BUILD, str(ROOT), str(directory)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()[-1]
    return message_from_bytes((directory / built / "METADATA").read_bytes())


def test_the_long_description_links_to_no_file(metadata: Message) -> None:
    text = metadata.get_payload()
    assert isinstance(text, str)
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# workrow")
    links = re.findall(r"\]\(([^)]+)\)|(?:href|src)=[\"']?([^\"'> ]+)", text)
    assert links
    assert [link for pair in links for link in pair if link and not re.match("https?://", link)] == []


def test_the_long_description_names_the_files_that_the_readme_links_to(metadata: Message) -> None:
    text = str(metadata.get_payload())
    assert "a workflow (docs/workflows.md): `chain`" in text
    assert "- docs/tasks.md: options" in text
    assert "`jobs/api/` enqueues" in text
