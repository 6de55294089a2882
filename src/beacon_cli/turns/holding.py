"""A turn that is held: what it is told of the run, and when it ends before its work does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import anyio
from anyio import to_thread

from beacon_cli import events as ev
from beacon_cli.errors import StoreError
from beacon_cli.model import Model, Region
from beacon_cli.ports import Over, Store
from beacon_cli.tickets import Entered, FailedExecution, Order, TicketState
from beacon_cli.turns.mending import Mender
from beacon_cli.turns.renewal import Renewal
from beacon_cli.turns.warming import Warmer
from beacon_cli.turns.windows import Windows

LOST = "the turn was not renewed in time, and another process has it now"
UNREACHED = "the queue could not be reached for so long that the turn may be another's"


class Means(NamedTuple):
    """What a turn is held with. Without `warmer` models are asked at once, without `keeper` none is kept warm."""

    store: Store
    mender: Mender
    renewal: Renewal
    warmer: Warmer | None
    keeper: Windows | None


class HeldTurn:
    """A region's lease; see `ports.Turn`.

    It was granted before `since`, on the renewal's clock. `pools` are those it reserves GPUs for; `shares` gives
    those of models that are to be admitted.
    """

    def __init__(
        self,
        *,
        granted: Entered,
        since: float,
        region: Region,
        pools: Mapping[str, int],
        shares: Callable[[Sequence[Model]], dict[str, int]],
        means: Means,
    ) -> None:
        self.ticket = granted.ticket
        self.token = granted.token
        self.region = region
        self.pools = dict(pools)
        self.succeeded = 0
        self.failed = 0
        self.failures: dict[str, FailedExecution] = {}
        self._shares = shares
        self._since = since
        self._store = means.store
        self._mender = means.mender
        self._renewal = means.renewal
        self._warmer = means.warmer
        self._keeper = means.keeper
        self._over: Over | None = None
        self._ended = anyio.Event()
        self.open: set[str] = set()
        """The calls that are not known to have ended."""
        self._placed: list[str] = []
        self._done: list[str] = []
        self._has_progressed = False
        self._question = ""
        self._working: dict[str, str] = {}
        self._noting = anyio.Lock()

    async def over(self) -> Over:
        """See `ports.Turn.over`."""
        await self._ended.wait()
        return self._over or Over(LOST, final=False)

    @property
    def why(self) -> Over | None:
        """Why it is over; None while it lasts."""
        return self._over

    def holds(self) -> bool:
        """See `ports.Turn.holds`."""
        # In this order: a renewal in between, of a turn that is another's by now, says so in its orders.
        is_trusted = self._renewal.is_trusted
        return self._over is None and is_trusted and self._is_ours()

    def end(self, over: Over) -> None:
        """It is over. The first reason stands."""
        self._over = self._over or over
        self._ended.set()

    async def admit(self, models: Sequence[Model], *, fresh: bool) -> None:
        """See `ports.Turn.admit`: the turn's other pools are emptied first, or with `fresh` all of them."""
        wanted = self._shares(models)
        others = [pool for pool in self.pools if fresh or pool not in wanted]
        if others or any(self.pools.get(pool) != gpus for pool, gpus in wanted.items()):
            await self.unkeep(others)
            await self._mender.empty(others)
            if not await to_thread.run_sync(self._store.hold, self.ticket, self.token, wanted):
                self.end(Over(LOST, final=False))
            self.pools = wanted
        if self._keeper is not None:
            for pool in wanted:
                await self._keeper.keep(pool)

    async def unkeep(self, pools: Iterable[str]) -> None:
        """Let containers of these pools end when they have stood idle, if they were kept."""
        if self._keeper is not None:
            for pool in pools:
                await self._keeper.put_back(pool)

    @property
    def prewarms(self) -> bool:
        """See `ports.Turn.prewarms`."""
        return self._warmer is not None

    async def warm(self, model: Model) -> None:
        """See `ports.Turn.warm`: a call is placed only while the turn is known to be ours."""
        if self._warmer is None:
            return
        await self._certain()
        await self._warmer.warm(self.region, model, self.holds)

    async def begin(self, event: ev.AttemptStarted | ev.CallReattached, model: str, question: str) -> None:
        """A call is about to be placed or waited for: only while the turn is known to be ours."""
        await self._certain()
        self._question = question
        self._working[event.execution] = model

    async def _certain(self) -> None:
        """Return only if the turn is ours."""
        await self.check()
        if self._over is not None:
            await anyio.sleep_forever()  # whoever watches the turn ends this

    async def check(self) -> None:
        """See whether the turn is ours still, by the last renewal or by a new one."""
        if not self._renewal.is_trusted:
            await to_thread.run_sync(self._renewal.renew)
        if not self._renewal.is_trusted:
            self.end(Over(f"{UNREACHED} ({self._renewal.trouble})", final=False))
        self.heed()  # a renewal that succeeded may have said that the turn is another's by now

    def heed(self) -> None:
        """Look at what the last renewal said of this turn."""
        if not self._is_ours():
            self.end(Over(LOST, final=False))
        elif (order := self._order) is not None and order.cancelled_by:
            self.end(Over(f"cancelled by {order.cancelled_by}", final=True))

    @property
    def _order(self) -> Order | None:
        """What the last renewal said of this turn; None: it was granted after that, or is gone."""
        return self._renewal.orders.get(self.ticket) if self._renewal.renewed_at > self._since else None

    def _is_ours(self) -> bool:
        """Whether the turn is not known to be another's."""
        if self._renewal.renewed_at <= self._since:
            return True  # it was granted after that
        order = self._renewal.orders.get(self.ticket)
        return order is not None and order.token == self.token and order.state is TicketState.HOLDING

    async def placed(self, call_id: str) -> None:
        """A call is under way. Returns once the store knows, or cannot be reached for now."""
        self.open.add(call_id)
        self._placed.append(call_id)
        await self.note()

    def finished(self, execution: str, call_id: str | None, *, for_good: bool) -> None:
        """An attempt has ended, and its call with it, its execution too if `for_good`; the store is told soon."""
        self._working.pop(execution, None)
        self._has_progressed |= for_good
        self.settled(call_id)

    def settled(self, call_id: str | None) -> None:
        """A call is known to have ended."""
        if call_id is not None:
            self.open.discard(call_id)
            self._done.append(call_id)

    async def tell(self) -> None:
        """Tell the store what has ended, if it does not know."""
        if self._over is None and (self._done or self._has_progressed):
            await self.note()

    async def note(self) -> None:
        """Tell the store what it does not know yet. What cannot be told now is told with the next call."""
        async with self._noting:
            placed, done, has_progressed = list(self._placed), list(self._done), self._has_progressed
            self._has_progressed = False
            tell = partial(
                self._store.note,
                self.ticket,
                self.token,
                placed=placed,
                ended=done,
                question=self._question,
                working=tuple(dict.fromkeys(self._working.values())),
                progressed=has_progressed,
            )
            try:
                is_ours = await to_thread.run_sync(tell)
            except StoreError:
                self._has_progressed |= has_progressed
                return
            del self._placed[: len(placed)], self._done[: len(done)]
            if not is_ours:
                self.end(Over(LOST, final=False))
