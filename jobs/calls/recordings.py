"""Recordings on disk: fetched, checked, kept for a while."""

import asyncio
import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from sqlalchemy import delete, func, select, update

from jobs import database
from jobs.calls.models import CallRecording
from jobs.calls.provider import Download, Provider
from jobs.settings import get_settings

TYPES = {"audio/mpeg": ".mp3", "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/ogg": ".ogg", "audio/mp4": ".m4a"}
PART = ".part"
STALE_PART = 86_400.0
"""Seconds after which nobody writes to a partial file any more: its worker has died."""


class RecordingRefused(Exception):
    """The recording is none that we keep; the text is why."""


class RecordingDamaged(Exception):
    """What arrived is not what the provider announced; the next attempt may be better."""


async def fetch(provider: Provider, call_id: int) -> int | None:
    """Bring the recording of a call to disk, where it is whole or not at all. Twice is no harm.

    Returns:
        Its size in bytes; None if there is nothing to fetch (any more).

    Raises:
        RecordingRefused: it is too large or of a kind that is no sound; the row says why, too.
        RecordingGone: the provider has none.
        RecordingDamaged: its checksum is wrong.
        Exception: of the provider and the disk.
    """
    async with database.session() as session:
        row = await session.get(CallRecording, call_id)
    if row is None or row.file is not None or row.refused is not None:
        return None
    try:
        async with provider.recording(row.recording_id) as download:
            file, size = await _keep(download, f"call-{call_id}", row.sha256)
    except RecordingRefused as error:
        await _note(call_id, refused=str(error))
        raise
    await _note(call_id, file=file, size=size, stored_at=func.now())
    return size


async def _note(call_id: int, **values: Any) -> None:
    async with database.session() as session, session.begin():
        await session.execute(update(CallRecording).where(CallRecording.call_id == call_id).values(values))


async def _keep(download: Download, name: str, sha256: str) -> tuple[str, int]:
    """Write it beside its place, and move it there when it is whole and right. Returns the file's name and size."""
    most = get_settings().recording_max_mb * 1_000_000
    if download.content_type not in TYPES:
        raise RecordingRefused(f"its type is {download.content_type!r}: kept are {', '.join(sorted(TYPES))}")
    if (download.size or 0) > most:
        raise RecordingRefused(f"it has {download.size} bytes: kept are {most} at most (WORKROW_RECORDING_MAX_MB)")
    directory = get_settings().recordings_directory
    directory.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    file = NamedTemporaryFile(dir=directory, prefix=f"{name}-", suffix=PART, delete=False)  # noqa: SIM115 - closed below
    try:
        with file:
            async for chunk in download.chunks:
                size += len(chunk)
                if size > most:
                    raise RecordingRefused(f"it has more than {most} bytes (WORKROW_RECORDING_MAX_MB)")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            if digest.hexdigest() != sha256:
                raise RecordingDamaged(
                    f"its SHA-256 is {digest.hexdigest()}, announced was {sha256}: {size} bytes came"
                )
            await asyncio.to_thread(os.fsync, file.fileno())
        place = f"{name}{TYPES[download.content_type]}"
        os.replace(file.name, directory / place)
    finally:
        _remove(file.name)  # what is left of it
    return place, size


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


async def expire(keep: timedelta, *, at_most: int = 100) -> int:
    """Delete recordings that are older, file and row: the row goes only if the file has gone. Returns how many.

    Raises:
        ExceptionGroup: files that could not be deleted, with everything else done.
    """
    done, failures = 0, list[OSError]()
    directory = get_settings().recordings_directory
    async with database.session() as session:
        statement = select(CallRecording.call_id, CallRecording.file).where(
            CallRecording.file.is_not(None), CallRecording.stored_at < func.now() - keep
        )
        old = list(await session.execute(statement.order_by(CallRecording.stored_at)))
    for start in range(0, len(old), at_most):
        gone: list[int] = []
        for call_id, file in old[start : start + at_most]:
            try:
                (directory / str(file)).unlink(missing_ok=True)
                gone.append(call_id)
            except OSError as error:
                failures.append(error)
        async with database.session() as session, session.begin():
            await session.execute(delete(CallRecording).where(CallRecording.call_id.in_(gone)))
        done += len(gone)
    _sweep(directory)
    if failures:
        raise ExceptionGroup(f"{len(failures)} recordings could not be deleted", failures)
    return done


def _sweep(directory: Path) -> None:
    """Delete what workers that died have left half written."""
    for part in directory.glob(f"*{PART}"):
        if part.stat().st_mtime < time.time() - STALE_PART:
            part.unlink(missing_ok=True)
