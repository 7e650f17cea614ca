"""Requests for campaigns that cannot be."""

from typing import Any

import httpx
import psycopg
import pytest

from tests.domains.campaigning import ask, create, targets

pytestmark = pytest.mark.usefixtures("provider")


@pytest.mark.parametrize(
    ("form", "where"),
    [
        ({"targets": targets(10_001)}, "targets"),
        ({"targets": [{"phone": "030 1", "time_zone": "Europe/Berlin"}]}, "targets"),
        ({"targets": [{"phone": "+4930123456", "time_zone": "Berlin"}]}, "targets"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 1001}, "concurrency"),
        ({"name": "  "}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"speed": 9}, "speed"),
    ],
)
async def test_a_bad_campaign_is_422(client: httpx.AsyncClient, form: dict[str, Any], where: str) -> None:
    answer = await client.post("/campaigns", json={"name": "Spring", "targets": targets(1), **form})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", where]


async def test_a_campaign_that_does_not_exist_is_404(client: httpx.AsyncClient) -> None:
    for what in ("", "start", "pause", "resume", "cancel", "report"):
        assert (await ask(client, 99, what, 404))["detail"] == "there is no campaign 99"


async def test_no_report_is_stored_that_does_not_balance(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    campaign = await create(client)
    with pytest.raises(psycopg.errors.CheckViolation, match="balances"):
        conn.execute("INSERT INTO campaign_reports VALUES (%s, 3, 1, 0, 0, 0, 0, 1)", (campaign,))


async def test_a_campaign_that_names_nobody_is_422(client: httpx.AsyncClient) -> None:
    answer = await client.post("/campaigns", json={"name": "x", "targets": []})
    assert answer.status_code == 422
    assert "name somebody to call" in answer.json()["detail"][0]["msg"]
