"""The service, as its clients speak to it."""

import asyncio
import time
from typing import Any

import httpx

from examples.demo.errors import DemoError

TIMEOUT_SECONDS = 60.0
LOOK_SECONDS = 0.25
AGAIN_SECONDS = 0.5


class Client:
    """Asks the service, on connections of its own.

    Args:
        url: of the service.
        patience: for so many seconds it asks once more where there was no answer, or one of 5xx.
    """

    def __init__(self, url: str, *, patience: float = 0.0) -> None:
        # the machine's proxy settings are not for a service on this machine
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._patience = patience

    async def __aenter__(self) -> "Client":
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._http.__aexit__(*error)

    async def ask(self, method: str, path: str, *, allowed: tuple[int, ...] = (), **more: Any) -> httpx.Response:
        """The answer, if it is 2xx or allowed.

        Raises:
            DemoError: it is another one, or there is none.
        """
        deadline = time.monotonic() + self._patience
        while True:
            try:
                answer = await self._http.request(method, path, **more)
            except httpx.HTTPError as error:
                if time.monotonic() >= deadline:
                    raise DemoError(f"{method} {path}: {error!r}") from error
            else:
                if answer.is_success or answer.status_code in allowed:
                    return answer
                if not answer.is_server_error or time.monotonic() >= deadline:
                    raise DemoError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            await asyncio.sleep(AGAIN_SECONDS)

    async def has_succeeded(self, job_id: int) -> bool:
        """Whether the job has.

        Raises:
            DemoError: it has ended in another way.
        """
        job = (await self.ask("GET", f"/jobs/{job_id}")).json()
        if job["status"] in ("failed", "cancelled", "aborted"):
            raise DemoError(f"job {job_id} ({job['task']}) is {job['status']}: {job['error']}")
        return bool(job["status"] == "succeeded")
