"""The wait for a region's turn: a ticket is taken, its place is told, and what stands in its way is mended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

import anyio
from anyio import to_thread

from beacon_cli import events as ev
from beacon_cli import forecast
from beacon_cli.errors import StoreError
from beacon_cli.ports import Emit, Over, Store
from beacon_cli.tickets import Caps, Entered, Granted, NotYet, Refused, Request, Unknown, Waiting, Why
from beacon_cli.turns.mending import Mender

SELDOMEST_POLL = 6.0
"""Seconds between two questions of whoever is far back, see `poll`."""
_FIRST_PAUSE = 0.05
"""Seconds after which a store that failed is asked again, at first."""
_SLOW_POLL = 1.0
"""Seconds between two questions of who has no ticket, or whose store fails."""
_MENDING_POLL = 0.2
_PATIENCE = 60.0
"""Seconds for which a store that fails is asked again before the wait is given up."""
_TOLD_ANEW = 10.0
"""Seconds after which the expected start is looked at again, and by which it has to change to be told again."""
_COUNTED_DOWN = 60.0
"""Seconds after which it is told again for how long a store that is new serves nobody."""
_UNFORESEEN = frozenset({Why.PAUSED, Why.USER})
"""What a ticket waits for when no history of turns says for how long."""

_Answer = TypeVar("_Answer")


def poll(position: int, first: float, jobs_at_once: int = 1) -> float:
    """Seconds until a ticket at this place asks again: `first` if it is among the `jobs_at_once` next.

    The others by the cube of how many rounds they are from it: fifty that wait use little of a processor, and
    those before a ticket take longer to have their turns than it takes to notice that they had.
    """
    return min(first * math.ceil(position / jobs_at_once) ** 3, SELDOMEST_POLL)


class Wait:
    """One region's wait. `caps` are the workspace's; `clock` is seconds since the epoch."""

    def __init__(
        self,
        store: Store,
        request: Request,
        *,
        caps: Caps,
        mender: Mender,
        emit: Emit,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._request = request
        self._caps = caps
        self._mender = mender
        self._emit = emit
        self._clock = clock
        self._told: tuple[int, str] | None = None
        self._told_at = 0.0
        self._starts_at: float | None = None
        self._looked_at = 0.0

    async def over(self) -> Entered | Over:
        """Wait until the turn has come, or until it is known that it will not.

        Raises:
            StoreError: the store failed, and did not come back within a minute.
        """
        while True:
            # A store that lost its data while we waited knows no caps any more.
            if await self._asked(partial(self._store.agree, self._caps)) != self._caps:
                return Over("the queue has other caps by now: beacon queue caps shows them", final=True)
            entrance = await self._asked(partial(self._store.enter, self._request))
            match entrance:
                case Refused(reason):
                    return Over(reason, final=True)
                case NotYet(reason, dead):
                    await self._tell(0, reason, None)
                    await self._mend(reclaim=dead)
                    await anyio.sleep(_MENDING_POLL if dead else _SLOW_POLL)
                case Entered(token=0) as entered:
                    ended = await self._claimed(entered.ticket)
                    if ended is not None:
                        return ended
                case inherited:
                    return inherited

    async def reserved(self, ticket: int) -> Mapping[str, int] | None:
        """The pools that a ticket of ours, with its turn, reserves GPUs for. None: it has no turn any more.

        Raises:
            StoreError: as `over`.
        """
        now = await self._asked(self._store.snapshot)
        line = now.regions.get(self._request.region)
        mine = (each for each in (line.active if line else ()) if each.id == ticket)
        return next((each.pools for each in mine if each.holder == self._request.holder), None)

    async def _claimed(self, ticket: int) -> Entered | Over | None:
        """Claim until the turn is granted; None: the ticket is gone, and another is to be taken."""
        while True:
            answer = await self._asked(partial(self._store.claim, ticket, self._request.holder))
            match answer:
                case Granted(token):
                    return Entered(ticket, token)
                case Unknown(""):
                    return None
                case Unknown(by):
                    return Over(f"cancelled by {by}", final=True)
                case Waiting():
                    await self._tell(answer.position, answer.reason, ticket, answer.why)
                    await self._mend(reclaim=answer.dead, cool=answer)
                    pause = poll(answer.position, self._store.poll_seconds, self._caps.jobs_at_once)
                    await anyio.sleep(max(pause, _MENDING_POLL) if answer.dead or answer.cool else pause)

    async def _mend(self, *, reclaim: tuple[int, ...], cool: Waiting | None = None) -> None:
        with suppress(StoreError):  # the next question to the store says so
            await self._mender.reclaim(reclaim)
            if cool is not None:
                await self._mender.cool(cool.cool)

    async def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        """What the store says, asked again for a while if it fails."""
        pause, until = _FIRST_PAUSE, anyio.current_time() + _PATIENCE
        while True:
            try:
                return await to_thread.run_sync(ask)
            except StoreError as error:
                if anyio.current_time() > until:
                    raise
                await self._tell(0, str(error), None)
            await anyio.sleep(pause)
            pause = min(2 * pause, _SLOW_POLL)

    async def _tell(self, position: int, reason: str, ticket: int | None, why: Why | None = None) -> None:
        """Say where the run stands, if that has changed; how long a new store waits is told anew now and then."""
        counts_down = why is Why.NEW_STORE
        told = (position, why.value if why is not None and counts_down else reason)
        is_new, now = told != self._told, anyio.current_time()
        starts_at = await self._expected(None if why in _UNFORESEEN else ticket, is_new=is_new)
        moved = abs((starts_at or 0.0) - (self._starts_at or 0.0)) > _TOLD_ANEW
        if not is_new and not moved and not (counts_down and now - self._told_at >= _COUNTED_DOWN):
            return
        self._told, self._told_at, self._starts_at = told, now, starts_at
        await self._emit(
            ev.TurnAwaited(
                at=self._clock(),
                region=self._request.region,
                position=position,
                reason=reason,
                starts_at=starts_at,
            )
        )

    async def _expected(self, ticket: int | None, *, is_new: bool) -> float | None:
        now = anyio.current_time()
        if ticket is None:
            return None
        if not is_new and now - self._looked_at < _TOLD_ANEW:
            return self._starts_at
        self._looked_at = now
        with suppress(StoreError):
            return forecast.starts(await to_thread.run_sync(self._store.snapshot)).get(ticket)
        return self._starts_at
