"""What the tests of campaigns do and look at."""

from typing import Any

import httpx

from tests.domains.provider_server import ProviderServer

OUTCOMES = ("completed", "failed", "no_answer", "busy", "cancelled", "skipped")


def targets(number: int, zone: str = "Europe/Berlin") -> list[dict[str, Any]]:
    return [{"phone": f"+4930{n:06}", "time_zone": zone} for n in range(number)]


def ending(provider: ProviderServer, *statuses: str) -> None:
    """Have the provider answer that the call is over already: each status in turn."""
    answers = iter(statuses)
    provider.status_of = lambda: next(answers, "completed")


async def create(client: httpx.AsyncClient, number: int = 3, **more: Any) -> int:
    answer = await client.post("/campaigns", json={"name": "Spring", "targets": targets(number), **more})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def ask(client: httpx.AsyncClient, campaign_id: int, what: str = "", expected: int = 0) -> dict[str, Any]:
    path = f"/campaigns/{campaign_id}"
    answer = await (
        client.post(f"{path}/{what}") if what not in ("", "report") else client.get(f"{path}/{what}".rstrip("/"))
    )
    assert answer.status_code == expected or (not expected and answer.is_success), answer.text
    return dict(answer.json())


def balances(report: dict[str, Any]) -> bool:
    return bool(report["targets"] == sum(report[each] for each in OUTCOMES))
