"""The states of a call: events in any order and number make a legal path to the final one."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import database
from jobs.calls import service
from jobs.calls.states import ENDS, MOVES, State
from tests.domains.calling import causes, order, read, report

pytestmark = pytest.mark.usefixtures("provider", "application")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    story=st.sampled_from(ENDS).flatmap(
        lambda end: st.lists(st.sampled_from(["dialing", "ringing", "in_progress", end]), max_size=8).flatmap(
            lambda events: st.permutations([*events, str(end)])
        )
    )
)
async def test_events_in_any_order_and_number_end_in_their_final_one(story: list[str]) -> None:
    call_id = await order()
    async with database.session() as session, session.begin():
        await service.move(session, call_id, State.DIALING, cause="job")
    seen = [State.DIALING]
    for status in story:
        moved = await report(call_id, status)
        assert moved.applied == (moved.state != seen[-1])
        if moved.applied:
            assert moved.state in MOVES[seen[-1]]
            seen.append(moved.state)
    (end,) = {status for status in story if status in ENDS}
    assert (await read(call_id)).state == end
    assert [state for state, _ in await causes(call_id)] == seen


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(st.sampled_from(list(State)), min_size=1, max_size=8))
async def test_events_at_the_same_moment_make_a_legal_path(story: list[State]) -> None:
    call_id = await order()
    async with database.session() as session, session.begin():
        await service.move(session, call_id, State.DIALING, cause="job")
    moves = await asyncio.gather(*(report(call_id, status) for status in story))
    path = [State.DIALING, *(State(state) for state, _ in (await causes(call_id))[1:])]
    assert all(after in MOVES[before] for before, after in pairwise(path))
    assert sum(move.applied for move in moves) == len(path) - 1
    assert (await read(call_id)).state == path[-1]
    if any(state in ENDS for state in story):
        assert path[-1] in ENDS


async def test_an_end_stays_whatever_is_said_later() -> None:
    call_id = await order()
    async with database.session() as session, session.begin():
        await service.move(session, call_id, State.DIALING, cause="job")
    await report(call_id, "busy", "first")
    for status in State:
        assert not (await report(call_id, status)).applied
    assert (await causes(call_id))[-1] == ("busy", "first")


async def test_a_call_that_does_not_exist_is_named() -> None:
    with pytest.raises(service.UnknownCall, match="there is no call 77"):
        await report(77, "busy")
