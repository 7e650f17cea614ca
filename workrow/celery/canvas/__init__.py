"""Calls as values, and what is built of them: what ``celery.canvas`` has."""

from workrow.celery.canvas.chain import _chain, chain
from workrow.celery.canvas.chord import _chord, chord
from workrow.celery.canvas.group import group
from workrow.celery.canvas.many import chunks, xmap, xstarmap
from workrow.celery.canvas.signature import Signature, maybe_signature, signature

__all__ = [
    "Signature",
    "_chain",
    "_chord",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "signature",
    "xmap",
    "xstarmap",
]
