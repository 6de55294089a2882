"""Which event loop a run gets, and how it shares the processor with threads. Must not know what runs on it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from beacon_cli.model import OpenaiTarget, Spec

_MANY = 1_000
"""Requests from which on a faster loop wins back what its import takes, some 15 ms."""
_TURN = 0.0025
"""Seconds for which Python's lock is kept while another thread waits for it: half of what is usual."""


def options(spec: Spec, executions: int) -> dict[str, Any]:
    """Options for `anyio.run`: uvloop for many requests at endpoints, where it is installed (the extra `fast`).

    It takes a seventh from a request's time on the processor. Modal's SDK has an event loop of its own.
    """
    if executions < _MANY or not isinstance(spec.target, OpenaiTarget) or find_spec("uvloop") is None:
        return {}
    return {"use_uvloop": True}


def share() -> None:
    """Let the journal's thread have its turns sooner: between two questions each lane waits for it twice.

    A run of 5,000 at 100 at once takes a tenth less time by it; with half of this, writing costs more than is won.
    """
    sys.setswitchinterval(min(_TURN, sys.getswitchinterval()))
