#!/usr/bin/env bash
# Celery 5.7.0: Signature.stamp(append_stamps=True, tags=[…]) adds to stamps that are there. In a group or a chain all members
# share one list, and each member that is visited adds to it what it holds by then: with n members, k appended values and one
# to begin with, every member carries 1 + n + n^2 + … + n^k values, where 1 + k were said. They are in each message.
# Seen with two appended values: a group of 1 has 3 values a member, of 5 has 31, of 20 has 421; a chain of 6 has 43.
# Exits 0 while that is so, and 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "celery==5.7.0"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import celery
from celery import Celery, chain, group

app = Celery("stamped", broker="memory://", backend="cache+memory://")


@app.task(name="add")
def add(x: int) -> int:
    return x


def values_of_a_member(canvas, members: int) -> int:
    """How many values of ``tags`` its first member carries, after one stamp and two that are appended."""
    shape = canvas([add.si(number) for number in range(members)])
    shape.stamp(tags=["first"])
    for value in ("second", "third"):
        shape.stamp(append_stamps=True, tags=[value])
    return len(shape.tasks[0].options["tags"])


print(f"celery {celery.__version__}; three values were said")
seen = [values_of_a_member(group, members) for members in (1, 5, 20)]
seen.append(values_of_a_member(chain, 6))
for shape, number in zip(("a group of 1", "a group of 5", "a group of 20", "a chain of 6"), seen, strict=True):
    print(f"{shape}: {number} values in each message")
sys.exit(seen != [3, 31, 421, 43])
PYTHON
