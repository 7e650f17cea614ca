"""Calls as values, and what is built of them: what ``celery.canvas`` has."""

from workrow.celery.canvas.chain import _chain, chain
from workrow.celery.canvas.chord import _chord, chord
from workrow.celery.canvas.group import group
from workrow.celery.canvas.many import chunks, xmap, xstarmap
from workrow.celery.canvas.signature import Signature, maybe_signature, signature
from workrow.celery.canvas.stamping import StampingVisitor

subtask, maybe_subtask = signature, maybe_signature
"""As they were called before Celery 3.1."""

__all__ = [
    "Signature",
    "StampingVisitor",
    "_chain",
    "_chord",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "maybe_subtask",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]
