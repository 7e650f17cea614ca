"""Who makes the calls, in our words: what is asked of a provider, and what it answers."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Protocol
from uuid import UUID

from pydantic import BaseModel, StringConstraints

import workrow
from jobs.calls.states import State

RATE = workrow.Rate("50/s", name="calls.provider")
"""Of all tasks that speak to the provider; ``workrow limits set calls.provider --rate 10/s`` changes it."""


class CallRefused(Exception):
    """The provider will never make this call; the text is its reason."""


class GarbledAnswer(Exception):
    """The provider's answer cannot be read. It may have called all the same."""


class RecordingGone(Exception):
    """The provider has no such recording, or has it no more."""


class RecordingOf(BaseModel):
    """A recording that can be fetched."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Report(BaseModel):
    """What the provider says of a call."""

    status: State
    recording: RecordingOf | None = None


@dataclass(frozen=True)
class Download:
    """A recording on its way.

    Attributes:
        content_type: as ``audio/mpeg``, without parameters.
        size: bytes, if the provider says so beforehand.
        chunks: the bytes.
    """

    content_type: str
    size: int | None
    chunks: AsyncIterator[bytes]


class Provider(Protocol):
    """A telephone company. Calls are known to it by our key.

    Every method raises `workrow.RateLimited` if it has had enough, and any other exception if it does not answer as it
    should: then nobody knows whether it has heard us, and the same is asked again.
    """

    async def place(self, key: UUID, phone: str) -> Report:
        """Call the number, unless that was asked before with this key; what has become of it.

        Raises:
            CallRefused: it never will.
        """

    async def find(self, key: UUID) -> Report | None:
        """What has become of the call; None if it was never asked for."""

    async def hang_up(self, key: UUID) -> None:
        """End the call; nothing, if it has ended or was never asked for."""

    def recording(self, id: str) -> AbstractAsyncContextManager[Download]:
        """Fetch a recording.

        Raises:
            RecordingGone: it is not there.
        """
