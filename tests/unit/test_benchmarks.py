"""The parts of benchmarks/ that compute: percentiles, ratios, verdicts; and the list of peers."""

import math

import pytest

from benchmarks import figures, goals
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Results
from benchmarks.goals import GOALS, Goal
from benchmarks.peers import OURS, PEERS, RAW, choose


def results(*rows: tuple[str, str, str, list[float]]) -> Results:
    made = Results()
    for workload, case, peer, values in rows:
        made.row(workload, case, peer, "jobs/s").values = values
    return made


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert figures.percentile(values, 50) == 100
    assert figures.percentile(values, 99) == 198
    assert figures.percentile(values, 100) == 200
    assert figures.percentile(values, 0) == 1
    assert figures.percentile([7.0], 99) == 7


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 101), ([1.0], -1)])
def test_no_percentile(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        figures.percentile(values, percent)


def test_ratio() -> None:
    assert figures.ratio(3, 2) == 1.5
    assert figures.ratio(None, 2) is None
    assert figures.ratio(3, None) is None
    assert figures.ratio(3, 0) is None


def test_quarter_rates() -> None:
    # 8 steps of 500 jobs: the first two take 1 s each, the rest 2 s
    times = [0.0, 1, 2, 4, 6, 8, 10, 12, 14]
    first, last = figures.quarter_rates(times, 500)
    assert math.isclose(first, 500)
    assert math.isclose(last, 250)
    with pytest.raises(ValueError, match="quarters"):
        figures.quarter_rates([1.0, 2.0], 500)


def test_a_row_is_the_median_of_its_runs() -> None:
    found = results(("drain", "a", OURS, [30, 10, 20]), ("drain", "a", RAW, []))
    assert found.value("drain", "a", OURS) == 20
    assert found.value("drain", "a", RAW) is None
    assert found.value("drain", "b", OURS) is None
    assert found.of_peers("drain", "a") == {OURS: 20}
    assert found.of_peers("drain", "a", without=(OURS,)) == {}
    assert found.row("drain", "a", OURS, "jobs/s") is found.rows[0]


@pytest.mark.parametrize(
    ("sense", "value", "verdict"),
    [
        (">=", 0.6, "reached"),
        (">=", 0.59, "not reached"),
        ("<=", 0.6, "reached"),
        ("<=", 0.61, "not reached"),
        ("<", 0.6, "not reached"),
        ("<", 0.59, "reached"),
    ],
)
def test_verdict(sense: str, value: float, verdict: str) -> None:
    spelled = {">=": "≥", "<=": "≤", "<": "<"}[sense]
    goal = Goal("it", lambda _: value, 0.6, spelled)  # type: ignore[arg-type]
    assert goal.verdict(Results()) == (f"{value:.2f} x", verdict)


def test_without_results_nothing_is_reached() -> None:
    assert {goal.verdict(Results()) for goal in GOALS} == {("-", "not measured")}


def test_our_figure_against_the_best_of_the_named_peers() -> None:
    found = results(
        ("drain", goals.ASYNC, OURS, [40_000]),
        ("drain", goals.ASYNC, RAW, [50_000]),
        ("drain", goals.ASYNC, "procrastinate", [500]),
        ("drain", goals.ASYNC, "pgqueuer", [13_000]),
        ("drain", goals.ASYNC, "pgqueuer-defaults", [20_000]),
        ("latency", "p50", OURS, [2.0]),
        ("latency", "p50", "pgqueuer", [4.0]),
        ("latency", "p50", "celery", [1.0]),
    )
    verdicts = {goal.what: goal.verdict(found) for goal in GOALS}
    assert verdicts["drain, async, 1 process / raw SQL"] == ("0.80 x", "reached")
    assert verdicts["drain, async, 1 process / pgqueuer's best"] == ("2.00 x", "reached")
    assert verdicts["drain, async, 1 process / procrastinate"] == ("80.0 x", "reached")
    assert verdicts["drain, async, 1 process / graphile-worker (aim)"] == ("-", "not measured")
    assert verdicts["latency p50 / the quickest peer"] == ("2.00 x, 2 of 5 peers", "not reached")
    assert goals.against("drain", goals.ASYNC)(found) == 2.0  # raw SQL is nobody's peer


def test_a_smaller_table_decides_nothing() -> None:
    found = results(("growth", "scheduled", OURS, [9.5]), ("growth", "small", OURS, [10.0]))
    goal = next(goal for goal in GOALS if "scheduled" in goal.what)
    assert goal.verdict(found) == ("0.95 x", "reached")
    found.scale = 0.1
    assert goal.verdict(found) == ("0.95 x, at 0.1 of the size", "not measured")


def test_every_peer_can_be_chosen() -> None:
    assert [peer.name for peer in choose(list(PEERS))] == list(PEERS)
    assert [peer.name for peer in choose([OURS, RAW])] == [RAW, OURS]
    for peer in choose(list(PEERS)):
        assert peer.settings["drain"]
        assert peer.bulk
        assert peer.uses_postgres == bool(peer.finished)


def test_an_unknown_peer() -> None:
    with pytest.raises(BenchmarkError, match="no peer rq: there are raw, workrow"):
        choose(["rq", OURS])
