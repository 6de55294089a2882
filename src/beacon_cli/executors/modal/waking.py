"""Starting a container by a call that asks nothing: the class's `health`.

A method of the same class with the same parameters is served by the same containers. A function has no such
method: nothing wakes it but a question.
"""

from __future__ import annotations

from typing import Any

import modal
import modal.exception as sdk
import msgspec

from beacon_cli.executors.answers import outcome_of
from beacon_cli.executors.modal import calls, placing
from beacon_cli.executors.modal.border import told
from beacon_cli.executors.modal.gate import Gate
from beacon_cli.executors.modal.pools import Pool, Unfound, find
from beacon_cli.model import Cancelled, Failed, Outcome
from beacon_cli.ports import MayPlace, Placed

METHOD = "health"
"""What is called to wake a container, without arguments."""
BYTES = 64_000
"""What a container may say of itself."""


async def by_call(
    pool: Pool, client: modal.Client, *, gate: Gate, placed: Placed, may_place: MayPlace
) -> Outcome | None:
    """Call `health` in the pool's containers. None: there is no such method."""
    if pool.cls is None:
        return None
    try:
        function = await find(msgspec.structs.replace(pool, method=METHOD), client)
    except (Unfound, sdk.NotFoundError):
        return None
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is told by the table
        return told(error)
    call = await placing.place(function, {}, gate=gate, placed=placed, may_place=may_place)
    if isinstance(call, Failed | Cancelled):
        return call
    return await calls.settled(call, BYTES, read=healthy)


def healthy(returned: Any, answer_bytes: int) -> Outcome:
    """What a container said of itself, in the form of an answer without words."""
    if type(returned) is dict and returned.get("status") != "error":
        return outcome_of({**returned, "response": ""}, answer_bytes)
    return outcome_of(returned, answer_bytes)
