"""Tasks over a time that jumps: a task is a generator that yields what it waits for. Pure; a clock of its own.

What a task yields is either a number of seconds or a `Signal`. Those that are due at one time go on in the order
in which they began to wait, as on the event loop that beacon runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import TypeAlias


class Signal:
    """Is set once; whoever waits for it goes on then, and whoever comes later at once."""

    def __init__(self) -> None:
        self.is_set = False
        self.waiting: list[Task] = []


Task: TypeAlias = Iterator["float | Signal"]


class Kernel:
    """Runs tasks until none of them is left to go on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Task | Callable[[], None]]] = []
        self._count = 0

    def start(self, task: Task) -> Signal:
        """Let a task run beside the others; the signal is set when it has ended."""
        ended = Signal()
        self._later(self.now, self._until_ended(task, ended))
        return ended

    def set(self, signal: Signal) -> None:
        """Set a signal."""
        signal.is_set = True
        for task in signal.waiting:
            self._later(self.now, task)
        signal.waiting.clear()

    def call_at(self, at: float, call: Callable[[], None]) -> None:
        """Call this at a time that is not over yet."""
        self._later(at, call)

    def run(self) -> None:
        """Let time pass until nothing is due any more."""
        while self._due:
            self.now, _, each = heappop(self._due)
            if callable(each):
                each()
            else:
                self._go_on(each)

    def _go_on(self, task: Task) -> None:
        for wish in task:
            if not isinstance(wish, Signal):
                self._later(self.now + wish, task)
                return
            if not wish.is_set:
                wish.waiting.append(task)
                return

    def _until_ended(self, task: Task, ended: Signal) -> Task:
        yield from task
        self.set(ended)

    def _later(self, at: float, each: Task | Callable[[], None]) -> None:
        self._count += 1
        heappush(self._due, (at, self._count, each))


def together(kernel: Kernel, tasks: Iterable[Task]) -> Task:
    """Run tasks side by side, until all have ended."""
    yield from [kernel.start(task) for task in tasks]


class Seats:
    """So many may hold one; of those who wait, the one with the lowest order is served first."""

    def __init__(self, kernel: Kernel, count: int) -> None:
        self._kernel = kernel
        self._free = count
        self._waiting: list[tuple[int, int, Signal]] = []
        self._asked = 0

    def take(self, order: int = 0) -> Task:
        """Wait for a seat, and hold it."""
        if self._free > 0:
            self._free -= 1
            return
        self._asked += 1
        granted = Signal()
        heappush(self._waiting, (order, self._asked, granted))
        yield granted

    def give_back(self) -> None:
        """Free a seat, or hand it on."""
        if self._waiting:
            self._kernel.set(heappop(self._waiting)[2])
        else:
            self._free += 1
