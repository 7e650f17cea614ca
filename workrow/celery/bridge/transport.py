"""What Celery's way of sending takes for a producer of kombu's: what is published becomes calls here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from workrow.celery.bridge.messages import Unmovable, call_of
from workrow.celery.outbox import Outbox

OF_PUBLISHING = {
    *("exchange", "compression", "retry", "retry_policy", "delivery_mode", "timeout", "confirm_timeout", "mandatory"),
    *("immediate", "expiration", "content_type", "content_encoding"),
}
"""What kombu's ``publish`` takes beside the properties of a message."""


class Transport:
    """Stands where Celery expects a producer of kombu's, and collects what is published.

    Args:
        box: what it is collected in.
        countdown: seconds of the call; the database's clock says when it is due, and not this machine's.
        rate_limit: see `call_of`.
    """

    serializer = None

    def __init__(self, box: Outbox, countdown: Any, rate_limit: tuple[str, Any]) -> None:
        self._box = box
        self._countdown = countdown
        self._rate_limit = rate_limit
        self.connection = self

    @contextmanager
    def _reraise_as_library_errors(self) -> Iterator[None]:
        yield

    def publish(
        self,
        body: Any,
        routing_key: str | None = None,
        serializer: str | None = None,
        headers: Mapping[str, Any] | None = None,
        declare: Any = None,
        **options: Any,
    ) -> None:
        """Take a message. Raises Unmovable."""
        if serializer not in (None, "json"):
            raise Unmovable(f"it is written as {serializer}, and only JSON is stored here")
        if len(declare or ()) > 1 or any(getattr(queue, "bindings", None) for queue in declare or ()):
            raise Unmovable("it goes to several queues")
        if not declare and options.get("exchange"):
            raise Unmovable("it names an exchange, and no queue")
        from kombu.utils.json import dumps

        queue = declare[0].name if declare else routing_key
        properties = {key: value for key, value in options.items() if key not in OF_PUBLISHING and value is not None}
        try:
            text = dumps(body)
        except Exception as error:
            raise Unmovable(f"it is no JSON: {error}") from error
        call = call_of(headers or {}, text, properties, str(queue), "application/json", self._rate_limit)
        if isinstance(self._countdown, int | float) and self._countdown > 0:
            call["delay"] = self._countdown
            call.pop("at", None)
        self._box.add("calls", call)
