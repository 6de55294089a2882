"""Keeps a run within its budget: no execution starts before what it may cost is reserved.

A listener of the run's events, told before all others: an execution that does not fit waits here before its call
is placed, until one that ends leaves enough. When nothing is in flight any more and it still does not fit, the run
is stopped in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import anyio
import msgspec

from beacon_cli import __version__, wiring
from beacon_cli import events as ev
from beacon_cli.display import paper
from beacon_cli.errors import BudgetReached, StartError
from beacon_cli.model import ModalTarget
from beacon_cli.operations import histories
from beacon_cli.operations.orders import Terms
from beacon_cli.plan import Plan
from beacon_cli.planning.courses import Cell
from beacon_cli.planning.purses import Purse, Tariff, reached
from beacon_cli.ports import Emit, Executor
from beacon_cli.rates import Rates
from beacon_cli.results import Standings, pending
from beacon_cli.settings import Settings
from beacon_cli.timings.costs import WINDOW
from beacon_cli.timings.history import History

WARN_AT = 0.8
"""The share of its budget of which a run says that it is spent or reserved."""
_HIGH = 0.9
"""Reserved is what nine answers, and nine starts, of ten stay below."""


class Budget:
    """See `ports.Listener`. `open` it before the run's first event; `clock` is seconds since the epoch."""

    def __init__(self, purse: Purse, clock: Callable[[], float] = time.time) -> None:
        self.purse = purse
        self._clock = clock
        self._changed = anyio.Event()
        self._waiting: dict[str, Cell] = {}
        self._is_over = self._is_told = False
        self._emit: Emit
        self._stop: Callable[[str], None]

    def open(self, emit: Emit, stop: Callable[[str], None]) -> None:
        """`emit` says what happens, `stop` ends the run in order, for a reason."""
        self._emit, self._stop = emit, stop

    async def handle(self, event: ev.Event, standings: Standings) -> None:
        """See `ports.Listener.handle`."""
        del standings
        self.purse.apply(event)
        if isinstance(event, ev.AttemptStarted):
            await self._put_by(event)
        elif isinstance(event, _SETTLING):
            self._changed.set()
            self._changed = anyio.Event()

    async def _put_by(self, event: ev.AttemptStarted) -> None:
        purse, cell = self.purse, (event.region, event.model)
        if self._is_over or not purse.reserve(event.execution, cell, self._clock()):
            await self._held(event, cell)
        used = purse.spent + purse.reserved
        if used >= WARN_AT * purse.limit and not self._is_told:
            self._is_told = True
            share = f"{100 * used / purse.limit:.0f} %"
            paper.tell([f"beacon: {share} of the budget of {purse.limit:.2f} USD are spent or reserved"])
            await self._emit(
                ev.BudgetNeared(at=self._clock(), spent=purse.spent, reserved=purse.reserved, limit=purse.limit)
            )

    async def _held(self, event: ev.AttemptStarted, cell: Cell) -> None:
        """Wait until it fits; where nothing that waits ever will, stop the run, which ends the wait."""
        purse = self.purse
        self._waiting[event.execution] = cell
        try:
            while self._is_over or not purse.reserve(event.execution, cell, self._clock()):
                now = self._clock()
                prices = [purse.price(each, now) for each in self._waiting.values()]
                if not self._is_over and purse.is_idle and not any(map(purse.fits, prices)):
                    self._is_over = True
                    self._stop(reached(purse.limit))
                await self._changed.wait()
        finally:
            del self._waiting[event.execution]
        await self._emit(ev.AttemptHeld(at=self._clock(), execution=event.execution, attempt=event.attempt))


_SETTLING = ev.AttemptSucceeded | ev.AttemptFailed | ev.AttemptCancelled | ev.Warmed | ev.WarmingFailed


async def budget(
    plan: Plan,
    executor: Executor,
    settings: Settings,
    terms: Terms,
    *,
    rehearsal: bool,
    past: Iterable[ev.Event] = (),
    standings: Standings | None = None,
) -> tuple[Budget | None, Terms]:
    """The run's budget, if it has one, and the terms that it leaves: without warming where that does not fit.

    `past` is the journal so far, and `standings` its fold.

    Raises:
        StartError: a price is unknown, so that no budget can be kept.
        BudgetReached: not one more answer fits.
    """
    limit = plan.spec.budget
    if limit is None:
        return None, terms
    history = histories.history(settings.home, rehearsals=rehearsal)
    purse = Purse(limit, await _tariff(plan, executor, wiring.rates(settings), history, keep=terms.keep_warm))
    for event in past:
        purse.apply(event)
    if standings is not None:  # what a crash cut off counts before it is asked what fits
        purse.apply(ev.RunResumed(at=time.time(), run_id="", spec=plan.spec, planned={}, beacon=__version__))
    left = _left(plan, standings or Standings())
    prices = [purse.price(cell, time.time()) for cell in left]
    if left and not any(map(purse.fits, prices)):
        least = purse.spent + min(prices)
        raise BudgetReached(
            f"a budget of {limit:.2f} USD leaves nothing for an answer: {purse.spent:.4f} USD are spent or"
            f" reserved, and the next one takes it to {least:.4f}. Raise it: --max-cost {_enough(least)}"
        )
    starts = sum(prices)
    if terms.prewarm is not False and not purse.fits(starts):
        why = f"with a first answer of each that may take {starts:.4f} USD, and the budget is {limit:.2f}"
        paper.tell([f"beacon: containers are not started before their models are asked: {why}"])
        terms = msgspec.structs.replace(terms, prewarm=False)
    return Budget(purse), terms


def _enough(least: float) -> str:
    """A sum in whole cents that is a little more."""
    return f"{int(least * 100) / 100 + 0.01:.2f}"


def _left(plan: Plan, standings: Standings) -> list[Cell]:
    """The cells in which anything is pending."""
    found = dict.fromkeys(
        (each.region.id, each.model.id) for each in plan.executions() if pending(standings, each.id) is not None
    )
    return list(found)


async def _tariff(plan: Plan, executor: Executor, rates: Rates, history: History, *, keep: bool) -> Tariff:
    target = plan.spec.target
    if not isinstance(target, ModalTarget) or executor.containers is None:
        raise StartError(
            "a budget needs containers that are paid by the second: what this executor costs is unknown."
            " Leave out --max-cost and `budget`"
        )
    per_second: dict[Cell, float] = {}
    windows: list[float] = []
    for region, model in plan.cells():
        deployed = await executor.containers.deployed(region, model)
        if deployed is not None and deployed.window is not None:
            windows.append(deployed.window.seconds)
        said = history.gpu(region.id, model.id)
        names = (deployed.gpus if deployed else ()) or ((said,) if said else ())
        prices = [rates.per_second(name, region.id) for name in names]
        known = [price for price in prices if price is not None]
        if not known or len(known) < len(prices):
            gpu = " or ".join(names) or "its GPU, which nobody names,"
            raise StartError(
                f"a budget cannot be kept: no price is known of {gpu} for {model.id} in {region.id}. Set it in"
                " beacon.toml, in USD for a second: [rates.gpu] NAME = 0.000306, and the region's multiplier under"
                " [rates.region]"
            )
        per_second[region.id, model.id] = max(known)
    return Tariff(
        per_second=per_second,
        start={cell: history.start(*cell).quantile(_HIGH) for cell in per_second},
        answer={cell: _answer(history, cell) for cell in per_second},
        rates=rates,
        window=max(windows, default=WINDOW),
        is_alone=target.cls is not None,
        is_kept=keep,
    )


def _answer(history: History, cell: Cell) -> float:
    overhead = history.overhead(*cell)
    return history.generation(*cell).quantile(_HIGH) + (overhead.quantile(_HIGH) if overhead else 0.0)
