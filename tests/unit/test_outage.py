import pytest

from workrow.database import outage
from workrow.database.outage import AFTERMATH, Outage

LOST = ConnectionError("gone")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(outage, "_everybody", outage._Away())
    caplog.set_level("WARNING")
    return caplog


def words(said: pytest.LogCaptureFixture) -> list[str]:
    return [each for line in said.messages for each in ("away", "back") if f"the database is {each}" in line]


def test_an_outage_is_said_once_whoever_sees_it(said: pytest.LogCaptureFixture) -> None:
    claims, ends = Outage("claiming"), Outage("finishing")
    for each in (claims, claims, ends):
        each.noted(LOST)
    assert words(said) == ["away"]
    claims.over()
    assert words(said) == ["away"]
    ends.over()
    assert words(said) == ["away", "back"]


def test_a_connection_that_broke_in_an_outage_and_is_used_after_it_is_no_news(said: pytest.LogCaptureFixture) -> None:
    claims, ends = Outage("claiming"), Outage("finishing")
    claims.noted(LOST)
    claims.over()
    for each in (ends, claims):
        each.noted(LOST)
        each.over()
    assert words(said) == ["away", "back"]


def test_a_second_outage_right_after_the_first_is_said_when_it_lasts(said: pytest.LogCaptureFixture) -> None:
    claims = Outage("claiming")
    for _ in range(2):
        for _ in range(3):
            claims.noted(LOST)
        claims.over()
    assert words(said) == ["away", "back"] * 2


def test_a_later_outage_is_said_at_once(said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = Outage("claiming")
    for now in (1000.0, 1001.0 + AFTERMATH):
        with monkeypatch.context() as patch:
            patch.setattr(outage.time, "monotonic", lambda now=now: now)
            claims.noted(LOST)
            claims.over()
    assert words(said) == ["away", "back"] * 2
