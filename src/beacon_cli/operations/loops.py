"""Which event loop a run gets. Must not know what runs on it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from beacon_cli.model import OpenaiTarget, Spec

_MANY = 1_000
"""Requests from which on a faster loop wins back what its import takes, some 15 ms."""


def options(spec: Spec, executions: int) -> dict[str, Any]:
    """Options for `anyio.run`: uvloop for many requests at endpoints, where it is installed (the extra `fast`).

    It takes a seventh from a request's time on the processor. Modal's SDK has an event loop of its own.
    """
    if executions < _MANY or not isinstance(spec.target, OpenaiTarget) or find_spec("uvloop") is None:
        return {}
    return {"use_uvloop": True}
