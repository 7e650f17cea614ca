"""Whatever the OpenAPI allows, and much that it does not, is answered: no request makes the service fail."""

import contextlib
from typing import Any

import hypothesis
import psycopg
import pytest
import requests
import schemathesis
from schemathesis import GenerationMode

from tests.domains.service_process import service

EXAMPLES = 4
"""Requests of each kind for each operation: right ones, and wrong ones."""


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("environment")
def test_no_request_makes_the_service_fail(conn: psycopg.Connection[Any]) -> None:
    conn.execute("INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada')")
    with service() as url, requests.Session() as client:
        client.trust_env = False
        schema = schemathesis.openapi.from_dict(client.get(f"{url}/openapi.json").json())
        operations = [each.ok() for each in schema.get_all_operations()]
        assert len(operations) > 25
        failed = [words for operation in operations for words in failures(client, url, operation)]
    assert failed == []


def failures(client: requests.Session, url: str, operation: Any) -> list[str]:
    """What the service did wrong. That nobody has told it of a provider is a 503, and its right."""
    found: list[str] = []

    def call(case: Any) -> None:
        # streamed: the events of a job that nobody works on would not end
        with client.request(**case.as_transport_kwargs(base_url=url), timeout=20, stream=True) as answer:
            if answer.status_code >= 500 and not (answer.status_code == 503 and operation.path == "/provider/events"):
                found.append(f"{answer.status_code}: {case.as_curl_command()}")

    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
        with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # no wrong request of what takes nothing
            settings(hypothesis.given(case=operation.as_strategy(generation_mode=mode))(call))()
    return found
