"""``python -m workrow``."""

from workrow.cli import main

main(prog_name="workrow")
