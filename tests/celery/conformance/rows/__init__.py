"""The experiments, by what they are about."""

from tests.celery.conformance.rows import (
    arguments,
    beat,
    crontabs,
    eager,
    errors,
    groups,
    inspecting,
    limits,
    many,
    results,
    retries,
    sending,
    signal_order,
    signatures,
    stamping,
    states,
)

__all__ = [
    "arguments", "beat", "crontabs", "eager", "errors", "groups", "inspecting", "limits", "many", "results", "retries",
    "sending", "signal_order", "signatures", "stamping", "states",
]  # fmt: skip
