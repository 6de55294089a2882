"""The wait for a region's turn: a ticket is taken, its place is told, and what stands in its way is mended.

A thread asks again and again; the event loop hears of it when the answer is another. To wake both for each
question takes three times as much of a processor, and many may wait at once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from beacon_cli import events as ev
from beacon_cli import forecast
from beacon_cli.errors import StoreError
from beacon_cli.ports import Emit, Over, Store
from beacon_cli.tickets import Answer, Caps, Entered, Granted, NotYet, Refused, Request, Unknown, Waiting, Why
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
"""Seconds by which the expected start has to change to be told again, and after which it is looked at at first."""
_LOOKED_ANEW = 60.0
"""Seconds after which it is looked at again at last: each look goes through the whole queue."""
_SOON = 0.1
"""The part of the time until then after which it is looked at again."""
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
        self._counted: int | None = None
        """The place at which a new store was waited for when it was last asked."""
        self._starts_at: float | None = None
        self._looked_at = -math.inf
        self._seat = CapacityLimiter(1)  # of this wait's own: others must not wait for a thread that waits

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
        known: Waiting | None = None
        while True:
            answer = await self._persist(partial(self._another, ticket, known))
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
                    known = answer

    async def _another(self, ticket: int, known: Waiting | None) -> Answer:
        """What a claim is answered, once it is not `known` any more or the expected start is due to be looked at.

        A cancellation ends the thread's pause, and comes after the thread.
        """
        over = threading.Event()
        if known is not None and self._told != (known.position, known.reason):
            known = None  # a failure was told since

        async def end() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                over.set()

        answer: Answer | StoreError
        async with anyio.create_task_group() as group:
            group.start_soon(end)
            try:
                answer = await to_thread.run_sync(self._claims, ticket, known, over, limiter=self._seat)
            except StoreError as error:  # which the group would wrap
                answer = error
            group.cancel_scope.cancel()
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def _claims(self, ticket: int, known: Waiting | None, over: threading.Event) -> Answer:
        """Claim until the answer is not `known`; only once if there is something to be mended. In a thread."""
        left = self._look_after()
        while known is not None:
            pause = poll(known.position, self._store.poll_seconds, self._caps.jobs_at_once)
            pause = max(pause, _MENDING_POLL) if known.dead or known.cool else pause
            if over.wait(pause):
                return known
            left -= pause
            answer = self._store.claim(ticket, self._request.holder)
            if answer != known or known.dead or known.cool or left <= 0:
                return answer
        return self._store.claim(ticket, self._request.holder)

    async def _mend(self, *, reclaim: tuple[int, ...], cool: Waiting | None = None) -> None:
        with suppress(StoreError):  # the next question to the store says so
            await self._mender.reclaim(reclaim)
            if cool is not None:
                await self._mender.cool(cool.cool)

    async def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        """What the store says, asked again for a while if it fails."""
        return await self._persist(partial(to_thread.run_sync, ask))

    async def _persist(self, attempt: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """What an attempt gives, made again for a while if the store fails."""
        pause, until = _FIRST_PAUSE, math.inf
        while True:
            try:
                return await attempt()
            except StoreError as error:
                until = min(until, anyio.current_time() + _PATIENCE)
                if anyio.current_time() > until:
                    raise
                await self._tell(0, str(error), None)
            await anyio.sleep(pause)
            pause = min(2 * pause, _SLOW_POLL)

    async def _tell(self, position: int, reason: str, ticket: int | None, why: Why | None = None) -> None:
        """Say where the run stands, if that has changed; the seconds that a new store has left, now and then."""
        is_new, now = (position, reason) != self._told, anyio.current_time()
        counted = position if why is Why.NEW_STORE else None
        if counted is not None and counted == self._counted:
            is_new = now - self._told_at >= _COUNTED_DOWN
        self._told, self._counted = (position, reason), counted
        starts_at = await self._expected(None if why in _UNFORESEEN else ticket, is_new=is_new)
        moved = abs((starts_at or 0.0) - (self._starts_at or 0.0)) > _TOLD_ANEW
        if not is_new and not moved:
            return
        self._told_at, self._starts_at = now, starts_at
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
        if not is_new and now - self._looked_at < self._look_after():
            return self._starts_at
        self._looked_at = now
        with suppress(StoreError):
            return forecast.starts(await to_thread.run_sync(self._store.snapshot)).get(ticket)
        return self._starts_at

    def _look_after(self) -> float:
        """Seconds from one look at the expected start to the next: the nearer it is, the more often."""
        if self._starts_at is None:
            return _LOOKED_ANEW
        return min(max(_TOLD_ANEW, _SOON * (self._starts_at - self._clock())), _LOOKED_ANEW)
