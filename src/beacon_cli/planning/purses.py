"""What a run has spent and reserved, against its budget. Pure: events in, USD out; decides nothing.

Spent is the most that `show --cost` tells: what is known, containers that may stand idle for their window after
their last answers, calls without an answer, answers that did not say their seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from beacon_cli import events as ev
from beacon_cli.planning.courses import Cell
from beacon_cli.rates import Rates
from beacon_cli.timings.accounts import Account
from beacon_cli.timings.costs import Key


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell is reserved at: USD for a second, and how long a start and an answer may take at most.

    `window` is how long an idle container stays. `is_alone`: one container serves the cell, however much is asked
    of it; otherwise each question may start one. `is_kept`: containers stay while the run's turn lasts, however
    long they stand idle.
    """

    per_second: Mapping[Cell, float]
    start: Mapping[Cell, float]
    answer: Mapping[Cell, float]
    rates: Rates
    window: float
    is_alone: bool = True
    is_kept: bool = False

    def start_of(self, cell: Cell) -> float:
        """USD for a container that has to start, its window at the end included."""
        return self.per_second[cell] * (self.start[cell] + self.window)

    def answer_of(self, cell: Cell) -> float:
        """USD for one answer."""
        return self.per_second[cell] * self.answer[cell]


class Purse:
    """Of one run, over all of its processes. `apply` is told of every event, the journal's of before included."""

    def __init__(self, limit: float, tariff: Tariff) -> None:
        self.limit = limit
        self._tariff = tariff
        self._account = Account()
        self._cells: dict[str, Cell] = {}
        self._reserved: dict[str, float] = {}
        self._starting: dict[Cell, str] = {}
        """Whose reservation holds the start of the cell's container."""
        self._alive: dict[Cell, float] = {}
        """When the cell's container answered last, or was warm."""

    @property
    def spent(self) -> float:
        """USD that is gone, or may be."""
        costs = self._account.costs
        used = sum((usage.known + usage.at_most) * self._price(key) for key, usage in costs.usages.items())
        idle = sum(seconds * self._price(key) for key, seconds in costs.tail(self._tariff.window).items())
        return used + idle

    @property
    def reserved(self) -> float:
        """USD that is reserved for what is in flight."""
        return sum(self._reserved.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is reserved: what does not fit now never will."""
        return not self._reserved

    def fits(self, usd: float) -> bool:
        """Whether so much is left."""
        return self.spent + self.reserved + usd <= self.limit

    def price(self, cell: Cell, at: float) -> float:
        """USD to reserve for one more execution of the cell that is asked then.

        With its answer the time in which its container stood idle until then is known to have been paid for; one
        that stood idle for longer than its window has gone.
        """
        tariff = self._tariff
        idle = max(0.0, at - self._alive.get(cell, at)) * self._account.fold.speed
        if tariff.is_alone and cell in self._starting:
            return tariff.answer_of(cell)
        if tariff.is_alone and cell in self._alive and (tariff.is_kept or idle <= tariff.window):
            return tariff.answer_of(cell) + tariff.per_second[cell] * idle
        return tariff.answer_of(cell) + tariff.start_of(cell)

    def reserve(self, execution: str, cell: Cell, at: float) -> bool:
        """Reserve what an execution that is asked then may cost, if it fits."""
        usd = self.price(cell, at)
        if not self.fits(usd):
            return False
        self._put_by(execution, cell, usd)
        return True

    def apply(self, event: ev.Event) -> None:
        """Take one more event into account."""
        self._account.apply(event)
        match event:
            case ev.RunStarted() | ev.RunResumed():
                self._begin()
            case ev.Warming() | ev.Warmed() | ev.WarmingFailed():
                self._warming(event)
            case ev.AttemptStarted():
                self._cells[event.execution] = (event.region, event.model)
            case ev.CallReattached(execution=execution) if execution in self._cells:
                cell = self._cells[execution]
                self._put_by(execution, cell, self.price(cell, event.at))
            case ev.AttemptSucceeded(execution=execution) if execution in self._cells:
                self._alive[self._cells[execution]] = event.at
                self._release(execution)
            case ev.AttemptFailed() | ev.AttemptCancelled():
                self._release(event.execution)
            case _:
                pass

    def _begin(self) -> None:
        self._reserved.clear()
        self._starting.clear()
        self._alive.clear()

    def _warming(self, event: ev.Warming | ev.Warmed | ev.WarmingFailed) -> None:
        cell, key = (event.region, event.model), f"{event.region}\x1f{event.model}"
        if isinstance(event, ev.Warming):
            self._put_by(key, cell, self._tariff.start_of(cell))
            return
        self._release(key)
        if isinstance(event, ev.Warmed):
            self._alive[cell] = event.at

    def _put_by(self, key: str, cell: Cell, usd: float) -> None:
        self._reserved[key] = usd
        self._starting.setdefault(cell, key)

    def _release(self, key: str) -> None:
        self._reserved.pop(key, None)
        self._starting = {cell: holder for cell, holder in self._starting.items() if holder != key}

    def _price(self, key: Key) -> float:
        said = self._tariff.rates.per_second(key.gpu, key.region) if key.gpu else None
        return self._tariff.per_second[key.region, key.model] if said is None else said


def reached(limit: float) -> str:
    """Why a run ends whose budget, in USD, leaves nothing for another answer; so its journal has it."""
    return f"budget of {limit:.2f} USD reached"
