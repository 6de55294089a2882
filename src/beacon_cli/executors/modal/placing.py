"""Placing a call: its id is on disk before anybody waits for it; what may not leave any more is not sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from beacon_cli.executors.modal.border import told
from beacon_cli.executors.modal.bridge import theirs
from beacon_cli.executors.modal.calls import Call
from beacon_cli.executors.modal.gate import Gate, Withheld
from beacon_cli.executors.modal.pools import Handle
from beacon_cli.model import Cancelled, ErrorKind, Failed
from beacon_cli.ports import MayPlace, Placed

_LIMIT = 60.0
"""Seconds within which the provider has to take a call."""


async def place(
    function: Handle, arguments: Mapping[str, Any], *, gate: Gate, placed: Placed, may_place: MayPlace
) -> Call | Failed | Cancelled:
    """Spawn a call and have its id kept; both happen or neither is cut short by a cancellation."""
    with anyio.move_on_after(_LIMIT, shield=True) as limit:
        try:
            with gate.asking(may_place):
                call: Call = await theirs(function.spawn.aio(**arguments))
        except Withheld:
            message = "the turn was not certain any more when the request was about to leave: not sent"
            return Failed(kind=ErrorKind.INTERRUPTED, message=message, transient=True)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is told by the table
            return told(error)
        limit.deadline = float("inf")
        await placed(call.object_id)
        return call
    message = f"the call was not taken within {_LIMIT:g} s; it may have been placed all the same"
    return Failed(kind=ErrorKind.CONNECTION, message=message, transient=True)
