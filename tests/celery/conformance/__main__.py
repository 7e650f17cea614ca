"""The command line: which tables, and the report.

With CONFORMANCE_SIDE=real in the environment on Celery and Redis, which this Python must have.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from tests.celery.conformance import comparison
from tests.celery.conformance.comparison import Deviation, Verdict
from tests.celery.conformance.lanes import Answer, Asked, run
from tests.celery.conformance.words import REAL

DATA = Path(__file__).parents[1] / "data"
EXPECTED = {"canvas": "expected", "behaviour": "observed"}
WORDS = ("agree", "deliberate", "unstable", "wrong")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.celery.conformance", description=__doc__)
    parser.add_argument("--canvas", type=Path, action="append", help="a table of shapes (more than once: several)")
    parser.add_argument("--behaviour", type=Path, action="append", help="a table of everything else")
    parser.add_argument("--only", default="", help="a regular expression on ids")
    parser.add_argument("--longest", type=float, default=float("inf"), help="leave out rows that take more seconds")
    parser.add_argument("--lanes", type=int, default=6, help="experiments that run at the same time")
    parser.add_argument("--tries", type=int, default=1, help="for a row that is wrong: each is told")
    parser.add_argument("--server", help="URL of a PostgreSQL; without: WORKROW_TEST_DATABASE_URL, or an embedded one")
    parser.add_argument("--deviations", type=Path, default=DATA / "deviations.json")
    parser.add_argument("--seen", type=Path, help="write what was seen into this file")
    parser.add_argument("--verbose", action="store_true", help="name the rows that agree, too")
    return parser


def rows_of(options: argparse.Namespace) -> list[Asked]:
    """Those of the tables that are named; of all that are kept here where none is."""
    files = {"canvas": options.canvas, "behaviour": options.behaviour}
    if not any(files.values()):
        files = {table: sorted(DATA.glob(f"{table}*.json")) for table in files}
    return [
        Asked(table, row)
        for table, named in files.items()
        for file in named or ()
        for row in json.loads(file.read_text())["cases"]
        if re.search(options.only, row["id"])
    ]


def verdict(asked: Asked, answer: Answer, deviations: list[Deviation]) -> Verdict:
    if answer.failed:
        held_to = asked.not_understood or not asked.row.get("unstable")
        return Verdict(asked.row["id"], "wrong" if held_to else "unstable", note=answer.failed)
    expected = asked.row[EXPECTED[asked.table]]
    return comparison.judge(asked.row, expected, answer.seen, deviations, asked.about)


def judged(asked: list[Asked], deviations: list[Deviation], options: argparse.Namespace) -> list[Verdict]:
    """In the order of the tables; what is wrong is tried again, beside fewer others, as often as was asked for."""
    verdicts: dict[Asked, Verdict] = {}
    seen: dict[Asked, Answer] = {}
    left = asked
    for attempt in range(options.tries):
        for each, answer in run(left, options.lanes if not attempt else 2, options.server):
            found = verdict(each, answer, deviations)
            if attempt and found.word != "wrong":
                found = found._replace(note=f"at try {attempt + 1}")
            verdicts[each], seen[each] = found, answer
            if attempt or options.verbose or found.word == "wrong":
                say(found, answer.seconds)
        left = [each for each in left if verdicts[each].word == "wrong"]
        if not left:
            break
    if options.seen:
        told = [{"table": each.table, "id": each.row["id"], **answer._asdict()} for each, answer in seen.items()]
        options.seen.write_text(json.dumps(told, indent=1) + "\n")
    return [verdicts[each] for each in asked]


def say(found: Verdict, seconds: float | None = None) -> None:
    took = "" if seconds is None else f" ({seconds:.1f} s)"
    out(f"{found.word:10} {found.row_id}{took}{f': {found.note}' if found.note else ''}")
    if found.word == "wrong":
        for path, expected, here in found.differs[:8]:
            out(f"    {path}: {json.dumps(expected)[:300]} -> {json.dumps(here)[:300]}")
        if len(found.differs) > 8:
            out(f"    … and {len(found.differs) - 8} more")


def out(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def main() -> int:
    """The exit code: 1 where something is wrong, or a deviation that is listed does not occur."""
    options = arguments().parse_args()
    deviations = [] if REAL else comparison.read_deviations(options.deviations)
    everything = rows_of(options)
    asked = [each for each in everything if each.seconds <= options.longest]
    verdicts = judged(asked, deviations, options)
    for found in verdicts:
        if found.word == "deliberate":
            say(found)
            for each in found.meant:
                out(f"    {each.what}: {each.why} ({each.docs})")
    gone = comparison.not_occurring(deviations, verdicts)
    for each in gone:
        out(f"no longer  {each.rows}: {each.what}: take it out of the list of deviations")
    counts = {word: sum(found.word == word for found in verdicts) for word in WORDS}
    out(", ".join(f"{number} {word}" for word, number in counts.items()) + f"; {len(everything) - len(asked)} left out")
    return 1 if counts["wrong"] or gone or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
