"""A call that was placed: waiting for what it gives, and ending it. A broken connection costs neither.

Knows a call by the SDK's handle for it; how it was placed, and what becomes of its outcome, is not its business.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, TypeAlias

import anyio
import modal
import modal.exception as sdk

from beacon_cli.executors.answers import outcome_of, shorten
from beacon_cli.executors.modal.border import (
    OF_THE_REQUEST,
    lost_connection,
    of_remote_code,
    told,
    unsettled,
    words,
)
from beacon_cli.executors.modal.bridge import theirs
from beacon_cli.model import ErrorKind, Failed, Outcome

Call: TypeAlias = "modal.FunctionCall[Any]"

_WINDOW = 50.0
"""How long one wait for an answer lasts before it is renewed, in seconds."""
_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
"""The pauses before a wait that lost its connection is taken up again, in seconds."""
_GENTLE = 3.0
_HARD = 1.5


async def settled(call: Call, answer_bytes: int, *, read: Callable[[Any, int], Outcome] | None = None) -> Outcome:
    """Wait for a call that was placed, in windows; a lost connection is taken up again a few times.

    `read` says what the value that it returned means: an answer, unless it is given.
    """
    pauses = iter(_PATIENCE)
    while True:
        began = monotonic()
        try:
            returned = await theirs(call.get.aio(timeout=_WINDOW))
        except TimeoutError as error:
            if monotonic() - began >= _WINDOW - 1 and not error.args:
                continue
            return of_remote_code(error)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is told by the table
            outcome = told(error)
            pause = next(pauses, None) if lost_connection(outcome) else None
            if pause is None:
                return unsettled(outcome)
            await anyio.sleep(pause)
        else:
            return (read or outcome_of)(returned, answer_bytes)


async def collected(call: Call, answer_bytes: int) -> Outcome:
    """Wait for a call that somebody placed earlier; one that the provider no longer knows is `gone`."""
    try:
        # An expired result shows only in a wait of no length: a longer one would go on asking.
        return outcome_of(await theirs(call.get.aio(timeout=0)), answer_bytes)
    except TimeoutError:
        return await settled(call, answer_bytes)
    except sdk.NotFoundError as error:
        return Failed(kind=ErrorKind.GONE, message=shorten(words(error)), transient=True)
    except Exception as error:  # noqa: BLE001 - as above
        outcome = told(error)
        return await settled(call, answer_bytes) if lost_connection(outcome) else outcome


async def ended(call: Call) -> bool:
    """End a call, gently and then with its container; True once the provider says that it has ended."""
    for terminate, patience in ((False, _GENTLE), (True, _HARD)):
        with anyio.move_on_after(patience):
            if await end(call, terminate=terminate):
                return True
    return False


async def end(call: Call, *, terminate: bool) -> bool:
    """Ask a call to end, and wait until it has. A request that failed says nothing about the call: not known."""
    try:
        await theirs(call.cancel.aio(terminate_containers=terminate))
        await theirs(call.get.aio(timeout=_WINDOW))
    except sdk.NotFoundError:
        return True
    except (TimeoutError, *OF_THE_REQUEST):
        return False
    except Exception:  # noqa: BLE001 - how it ended does not matter, that it ended does
        return True
    return True
