"""One imagined course of a run: what the engine would do with a plan, given how long everything takes. Pure.

The tasks here are those of `engine`, step for step, over the containers of `behaviour.fleet`; a test holds both
against each other in virtual time. Everything succeeds at the first attempt, and no other run is in the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf
from typing import TypeAlias

import msgspec

from beacon_cli.behaviour import fleet
from beacon_cli.model import Execution, Model, Region, Schedule
from beacon_cli.plan import Group, Plan
from beacon_cli.planning.kernel import Kernel, Seats, Signal, Task, together

Cell: TypeAlias = tuple[str, str]
"""A region's id and a model's."""

COOLING = 2.0
"""Seconds after which the containers of models that are done go, to make room for others: Modal's least window."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long things take, in seconds.

    `start` is given a cell and the number of its container, from 1; `answer` is the time in a warm container,
    and `overhead` what comes on top of it before the next question can be asked.
    """

    start: Callable[[Cell, int], float]
    answer: Callable[[Execution], float]
    overhead: Callable[[Execution], float] = lambda _: 0.0


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is begun: `prewarm`ed or not, its first containers `warm` already or not, kept warm or not.

    `without_containers`: nothing has to start and nothing has room for one question alone, as at an endpoint.
    """

    prewarm: bool = False
    warm: bool = False
    keep: bool = False
    without_containers: bool = False


class Life(msgspec.Struct, kw_only=True, gc=False):
    """One container: when it took its GPU, could answer, and was gone, in seconds from the run's start.

    `busy` are the spans in which it answered at least one question.
    """

    cell: Cell
    up: float
    ready: float
    down: float = inf
    busy: list[tuple[float, float]] = msgspec.field(default_factory=list)

    @property
    def starting(self) -> float:
        """Seconds in which it started."""
        return min(self.ready, self.down) - self.up

    @property
    def answering(self) -> float:
        """Seconds in which it answered."""
        return sum(until - since for since, until in self.busy)

    @property
    def seconds(self) -> float:
        """All of its seconds: they are paid for."""
        return self.down - self.up


class Course(msgspec.Struct, kw_only=True):
    """What came of it: the wall time in seconds, each region's, and every container's life to its end.

    `warm_at` says, by region, when its last model was warm; 0 where nothing was warmed.
    """

    seconds: float = 0.0
    regions: dict[str, float] = msgspec.field(default_factory=dict)
    warm_at: dict[str, float] = msgspec.field(default_factory=dict)
    lives: list[Life] = msgspec.field(default_factory=list)


def course(plan: Plan, times: Times, way: Way, scaling: fleet.Scaling, *, gpus: int = 10) -> Course:
    """Imagine the run from its first task to the end of its last container."""
    kernel, found = Kernel(), Course()
    provider = _Provider(kernel, times, way, scaling, gpus=gpus, lives=found.lives)
    limiter = Seats(kernel, plan.spec.limits.concurrency)
    work = [_RegionWork(plan, region, kernel, provider, limiter, found) for region in plan.regions]
    if way.warm:
        for each in work:
            provider.stand_ready(each.first_cells())
    for each in work:
        kernel.start(each.carry_out())
    kernel.run()
    return found


class _Provider:
    """The containers, driven by the kernel's time."""

    def __init__(
        self, kernel: Kernel, times: Times, way: Way, scaling: fleet.Scaling, *, gpus: int, lives: list[Life]
    ) -> None:
        self._kernel = kernel
        self.times = times
        self.way = way
        self._scaling = scaling
        if way.without_containers:
            self._scaling = msgspec.structs.replace(scaling, concurrent=fleet.UNBOUNDED, scaledown_window=0.0)
            gpus = fleet.UNBOUNDED
        self._cells: dict[str, Cell] = {}
        self._fleet = fleet.Fleet(self._start_seconds, gpus=gpus, scaling=self._scaling)
        self._ended: dict[str, Signal] = {}
        self._lives: dict[str, Life] = {}
        self._running: dict[str, tuple[int, float]] = {}
        self._kept = lives
        self._count = 0
        self._due = inf
        self._warm: set[str] = set()
        self._empty: dict[str, Signal] = {}

    def stand_ready(self, cells: Sequence[Cell]) -> None:
        """Let a container of each be there already."""
        for cell in cells:
            self._warm.add(self._pool(cell))
            self._happened(self._fleet.submit(self._pool(cell), self._new(), fleet.Work(seconds=0.0), 0.0))

    def ask(self, cell: Cell, seconds: float) -> Task:
        """Have a container of the cell work for so long, and wait for its end."""
        name = self._new()
        ended = self._ended[name] = Signal()
        now = self._kernel.now
        self._happened(self._fleet.submit(self._pool(cell), name, fleet.Work(seconds=seconds), now))
        yield ended

    def scale(self, cell: Cell, *, keep: bool) -> None:
        """Keep one container of the cell from now on, or none any more."""
        scaling = msgspec.structs.replace(self._scaling, min_containers=int(keep))
        self._happened(self._fleet.scale(self._pool(cell), scaling, self._kernel.now))

    def empty(self, cells: Sequence[Cell]) -> Task:
        """Wait until no container of these cells lives: they go as soon as they can."""
        short = msgspec.structs.replace(self._scaling, scaledown_window=COOLING)
        for cell in cells:
            self._happened(self._fleet.scale(self._pool(cell), short, self._kernel.now))
        for pool in map(self._pool, cells):
            while self._fleet.stats(pool).containers:
                yield self._empty.setdefault(pool, Signal())
            self._fleet.scale(pool, self._scaling, self._kernel.now)

    def _pool(self, cell: Cell) -> str:
        pool = f"{cell[0]}\x1f{cell[1]}"
        self._cells[pool] = cell
        return pool

    def _new(self) -> str:
        self._count += 1
        return str(self._count)

    def _start_seconds(self, pool: str, nth: int) -> float:
        if self.way.without_containers or (nth == 1 and pool in self._warm):
            return 0.0
        return self.times.start(self._cells[pool], nth)

    def _happened(self, happenings: list[fleet.Happening]) -> None:
        for each in happenings:
            self._take(each)
        due = self._fleet.next_at()
        if due is not None and due < self._due:
            self._due = due
            self._kernel.call_at(due, partial(self._tick, due))

    def _tick(self, due: float) -> None:
        if due == self._due:
            self._due = inf
        self._happened(self._fleet.advance(self._kernel.now))

    def _take(self, happening: fleet.Happening) -> None:
        match happening:
            case fleet.Booted(at, container, pool, seconds):
                life = Life(cell=self._cells[pool], up=at, ready=at + seconds)
                self._lives[container] = life
                self._kept.append(life)
                self._running[container] = (0, at)
            case fleet.Started(at, _, container):
                running, since = self._running[container]
                self._running[container] = (running + 1, since if running else at)
            case fleet.Finished(at, name, container):
                if container is not None:
                    self._answered(container, at)
                signal = self._ended.pop(name, None)
                if signal is not None:
                    self._kernel.set(signal)
            case fleet.Gone(at, container, pool):
                self._lives.pop(container).down = at
                if pool in self._empty:
                    self._kernel.set(self._empty.pop(pool))
            case _:
                pass

    def _answered(self, container: str, at: float) -> None:
        running, since = self._running[container]
        self._running[container] = (running - 1, since)
        if running == 1 and at > since:
            self._lives[container].busy.append((since, at))


class _Line:
    """See `lineup.Lineup`."""

    def __init__(self, kernel: Kernel, models: Sequence[Model], *, late: bool) -> None:
        self._kernel = kernel
        self._present = set() if late else {model.id for model in models}
        self._begun = 0
        self._led = Signal()
        self._led.is_set = not late

    def next(self) -> Iterator[Signal]:
        yield self._led
        self._begun += 1

    @property
    def present(self) -> frozenset[str]:
        return frozenset(self._present)

    def joins(self, model: Model, done: int) -> bool:
        if done != self._begun:
            return False
        self._present.add(model.id)
        self._kernel.set(self._led)
        return True


class _RegionWork:
    """See `engine._RegionWork`."""

    def __init__(
        self, plan: Plan, region: Region, kernel: Kernel, provider: _Provider, limiter: Seats, found: Course
    ) -> None:
        self._plan = plan
        self._region = region
        self._kernel = kernel
        self._provider = provider
        self._limiter = limiter
        self._found = found
        limits = plan.spec.limits
        self._slots = Seats(kernel, min(limits.per_region, limits.concurrency))

    def first_cells(self) -> list[Cell]:
        """The cells of the first group."""
        return [self._cell(model) for model in self._plan.groups(self._region)[0].models]

    def carry_out(self) -> Task:
        before: list[Cell] = []
        for group in self._plan.groups(self._region):
            cells = [self._cell(model) for model in group.models]
            gone = before if group.is_fresh else [cell for cell in before if cell not in cells]
            self._keep(gone, keep=False)
            yield from self._provider.empty(gone)
            self._keep(cells, keep=True)
            yield from self._group(group)
            before = cells
        self._keep(before, keep=False)
        now = self._kernel.now
        self._found.regions[self._region.id] = now
        self._found.seconds = max(self._found.seconds, now)

    def _keep(self, cells: Sequence[Cell], *, keep: bool) -> None:
        if self._provider.way.keep:
            for cell in cells:
                self._provider.scale(cell, keep=keep)

    def _group(self, group: Group) -> Task:
        if self._plan.spec.schedule is Schedule.LANES:
            yield from together(self._kernel, [self._lanes(group, model) for model in group.models])
            return
        late = self._provider.way.prewarm
        line = _Line(self._kernel, group.models, late=late)
        joining = [self._join(line, group, model) for model in group.models] if late else []
        ended = [self._kernel.start(task) for task in joining]
        yield from self._in_step(line, group)
        yield from ended

    def _in_step(self, line: _Line, group: Group) -> Task:
        for wave in self._plan.waves(self._region, group):
            yield from line.next()
            present = line.present
            yield from together(self._kernel, [self._execution(each) for each in wave if each.model.id in present])

    def _join(self, line: _Line, group: Group, model: Model) -> Task:
        yield from self._warmed(model)
        for done, execution in enumerate(self._plan.lane(self._region, group, model)):
            if line.joins(model, done):
                return
            yield from self._execution(execution)

    def _lanes(self, group: Group, model: Model) -> Task:
        if self._provider.way.prewarm:
            yield from self._warmed(model)
        lane = self._plan.lane(self._region, group, model)
        yield from together(self._kernel, [self._lane(lane) for _ in range(self._plan.spec.in_flight)])

    def _lane(self, lane: Iterator[Execution]) -> Task:
        for execution in lane:
            yield from self._execution(execution)

    def _warmed(self, model: Model) -> Task:
        yield from self._provider.ask(self._cell(model), 0.0)
        self._found.warm_at[self._region.id] = self._kernel.now

    def _execution(self, execution: Execution) -> Task:
        yield from self._slots.take(execution.order)
        yield from self._limiter.take()
        times = self._provider.times
        yield from self._provider.ask(self._cell(execution.model), times.answer(execution))
        overhead = times.overhead(execution)
        if overhead:
            yield overhead
        self._limiter.give_back()
        self._slots.give_back()

    def _cell(self, model: Model) -> Cell:
        return self._region.id, model.id
