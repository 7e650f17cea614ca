"""What tasks receive, and what their results come back as: any value that the row has as Python."""

import json
import re
from typing import Any

from tests.celery.conformance.experiments import kind
from tests.celery.conformance.looking import look, outcome, raised, typed
from tests.celery.conformance.tasks import describe, give
from tests.celery.conformance.values import value


def without_addresses(seen: Any) -> Any:
    return json.loads(re.sub(r"0x[0-9a-f]+", "0x", json.dumps(seen)))


@kind(r"args/.+", "python")
def argument(given: dict[str, Any]) -> Any:
    sent = value(given["python"])
    try:
        result = describe.delay(sent)
    except Exception as error:
        refused = raised(error)
        return without_addresses({"delay_raises": refused.pop("raises"), **refused})
    return {"task_receives": outcome(lambda: result.get(timeout=5)).get("value", look(result))}


@kind(r"result/.+", "python")
def returned(given: dict[str, Any]) -> Any:
    value(given["python"])
    result = give.delay(given["python"])
    try:
        seen = {"get": typed(result.get(timeout=4))}
    except Exception as error:
        seen = {"get_raises": type(error).__name__, "text": str(error)}
    return without_addresses({**seen, "state": result.state})
