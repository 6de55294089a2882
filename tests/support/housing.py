"""A provider within the test whose containers hold GPUs, and a store that fails when a test says so."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import anyio
from tests.support.jobs import US, spec
from tests.support.scripted import Scripted

from beacon_cli import conduct
from beacon_cli import events as ev
from beacon_cli.errors import StoreError
from beacon_cli.journal import MemoryJournal
from beacon_cli.model import (
    Deployed,
    ErrorKind,
    Execution,
    Failed,
    Model,
    Outcome,
    PoolStanding,
    Question,
    Region,
    Spec,
    Succeeded,
    Window,
)
from beacon_cli.plan import Plan
from beacon_cli.ports import MayPlace, Placed, Store, always
from beacon_cli.results import Standings
from beacon_cli.tickets import Caps, Priority
from beacon_cli.turns.queueing import Claimant, Clocks, TicketQueue
from beacon_cli.turns.windows import Windows

LEASE = 0.3


class Building:
    """Where the containers of all runs live, by the key of their pool; `peak` is the most that ever lived."""

    def __init__(self) -> None:
        self.alive: dict[str, int] = {}
        self.running: dict[str, int] = {}
        self.cooled: set[str] = set()
        self.peak = 0
        self.calls: set[str] = set()
        """Calls that run."""
        self.cancelled: list[str] = []
        self.rewarmed: list[str] = []
        self.is_stubborn = False
        """Whether idle containers stay, whatever their window."""
        self.boots: dict[str, float] = {}
        """Seconds that a model's container takes to start where it is woken, by the model; never if infinite."""
        self.woken: list[str] = []
        """The models that were woken, in the order in which their containers served."""
        self.windows: dict[str, Window] = {}
        """Windows that were set, by pool."""
        self.is_deaf = False
        """Whether the provider confirms no cancellation."""

    def begin(self, pool: str) -> None:
        """An input of the pool begins, in a container of its own if none is idle."""
        self.running[pool] = self.running.get(pool, 0) + 1
        self.alive[pool] = max(self.alive.get(pool, 0), self.running[pool])
        self.peak = max(self.peak, sum(self.alive.values()))

    def end(self, pool: str) -> None:
        """It ends; its container stays warm unless the pool was cooled."""
        self.running[pool] -= 1
        self.let_go(pool)

    def let_go(self, pool: str) -> None:
        """Idle containers of a cooled pool end."""
        if pool in self.cooled and not self.is_stubborn:
            self.alive[pool] = self.running.get(pool, 0)

    async def standing(self, pool: str) -> PoolStanding | None:
        """See `ports.Containers.standing`."""
        return PoolStanding(alive=self.alive.get(pool, 0), running=self.running.get(pool, 0), backlog=0)

    async def window(self, pool: str) -> Window | None:
        """See `ports.Containers.window`."""
        return self.coolest if pool in self.cooled else self.windows.get(pool, Window(seconds=300))

    @property
    def coolest(self) -> Window:
        """See `ports.Containers.coolest`."""
        return Window(seconds=2)

    async def cool(self, pool: str) -> Window | None:
        """See `ports.Containers.cool`."""
        self.cooled.add(pool)
        self.let_go(pool)
        return Window(seconds=300)

    async def rewarm(self, pool: str, window: Window) -> bool:
        """See `ports.Containers.rewarm`."""
        self.cooled.discard(pool)
        self.rewarmed.append(pool)
        self.windows[pool] = window
        return True

    async def deployed(self, _region: Region, _model: Model) -> Deployed | None:
        """See `ports.Containers.deployed`: it does not say."""
        return None

    async def wake(
        self,
        region: Region,
        model: Model,
        placed: Placed,
        may_place: MayPlace = always,  # noqa: ARG002 - the port's form
    ) -> Outcome | None:
        """See `ports.Containers.wake`; the container stays."""
        pool, call = self.pool(region, model), f"fc-wake-{region.id}-{model.id}"
        self.begin(pool)
        self.calls.add(call)
        try:
            with anyio.CancelScope(shield=True):
                await placed(call)
            await anyio.sleep(self.boots.get(model.id, 0.0))
        finally:
            self.end(pool)
        self.calls.discard(call)
        self.woken.append(model.id)
        return Succeeded(response="", container=f"ta-{model.id}", cold_start=True)

    def pool(self, region: Region, model: Model) -> str:
        """See `ports.Containers.pool`."""
        return json.dumps({"app": region.app, "function": model.id})

    def width(self, _pool: str, _inputs: int) -> int:
        """See `ports.Containers.width`."""
        return 1


class Housed(Scripted):
    """A run's executor in a building; `during` is called while an attempt is under way."""

    def __init__(
        self, building: Building, *, seconds: float = 0.02, during: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(seconds=lambda _: seconds)
        self._building = building
        self._during = during
        self.may_place: MayPlace = always
        """What the last attempt was given."""

    @property
    def containers(self) -> Any:
        """They are the building's."""
        return self._building

    async def attempt(
        self, execution: Execution, number: int, placed: Placed, may_place: MayPlace = always
    ) -> Outcome:
        """See `ports.Executor.attempt`."""
        self.may_place = may_place
        if not may_place():
            return Failed(kind=ErrorKind.INTERRUPTED, message="the turn is over", transient=True)
        pool, call = self._building.pool(execution.region, execution.model), f"fc-{execution.id}-{number}"
        self._building.begin(pool)
        self._building.calls.add(call)
        self.began.append((time.monotonic(), execution, number))
        try:
            with anyio.CancelScope(shield=True):
                await placed(call)
            self._during()
            await anyio.sleep(self.seconds(execution))
        finally:
            self._building.end(pool)
        self._building.calls.discard(call)
        return Succeeded(response=call)

    async def cancel(self, call_id: str) -> bool:
        """See `ports.Executor.cancel`."""
        self._building.cancelled.append(call_id)
        if not self._building.is_deaf:
            self._building.calls.discard(call_id)
        return not self._building.is_deaf


class Shaky:
    """A store that fails in the operations named in `down`, and whose clock can be made to jump (`ahead`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.down: set[str] = set()
        self.failed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)

        def asked(*args: Any, **kwargs: Any) -> Any:
            if name in self.down:
                self.failed.append(name)
                raise StoreError(f"queue: {name} failed")
            return operation(*args, **kwargs)

        return asked


class Ahead:
    """A clock that runs by itself and can be set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return time.monotonic() + self.ahead


def job(models: tuple[str, ...] = ("m1", "m2", "m3"), questions: int = 2, **changes: Any) -> Spec:
    """A small job in `us`."""
    return spec(
        regions=(US,),
        models=tuple(Model(id=name) for name in models),
        questions=tuple(Question(id=f"q{n}", text=f"{n}?") for n in range(questions)),
        **changes,
    )


class Kept(MemoryJournal):
    """The events of a run; tells who waits for one of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: list[tuple[type, int, anyio.Event]] = []

    async def append(self, event: ev.Event) -> None:
        """See `ports.Journal.append`."""
        await super().append(event)
        for kind, count, seen in self._awaited:
            if len(self.of(kind)) >= count:
                seen.set()

    async def seen(self, kind: type, *, count: int = 1) -> None:
        """Return once so many events of this kind have come, or are there."""
        event = anyio.Event()
        self._awaited.append((kind, count, event))
        if len(self.of(kind)) < count:
            with anyio.fail_after(10):
                await event.wait()

    def of(self, kind: type) -> list[Any]:
        """The events of this kind."""
        return [event for event in self.events if isinstance(event, kind)]


class Runner:
    """A run as a process carries it out, on a store that others share."""

    def __init__(
        self, store: Any, executor: Housed, run: str = "a", spec: Spec | None = None, **more: Any
    ) -> None:
        self.plan = Plan(spec or job())
        self.executor = executor
        self.journal = Kept()
        self.standings = Standings()
        self.caps = more.get("caps", Caps(lease_seconds=LEASE))
        self.run = run
        store.agree(self.caps)
        self.queue = TicketQueue(
            store,
            Claimant(
                run_id=run,
                user=more.get("user", "ann"),
                holder=more.get("holder", f"host:{run}"),
                priority=more.get("priority", Priority.NORMAL),
                prewarm=more.get("prewarm", False),
                keep_warm=more.get("keep_warm", False),
            ),
            self.plan,
            executor=executor,
            containers=executor.containers,
            caps=self.caps,
            clocks=Clocks(wall=time.time, ticking=more.get("clock", time.monotonic)),
            windows=Windows(
                executor.containers,
                more.get("leftovers"),
                run_id=run,
                is_over=more.get("is_over", lambda _: True),
                clock=time.time,
            ),
        )

    async def go(self, before: Iterable[ev.Event] = (), resumed: ev.RunResumed | None = None) -> Standings:
        """Carry the run out, from its ticket to its end; with `before` in its journal it is gone on with."""
        await self.queue.knock(wait=True)
        recorder = conduct.Recorder(self.journal, self.standings, [self.queue])
        started = ev.RunStarted(
            at=time.time(),
            run_id=self.run,
            spec=self.plan.spec,
            planned=self.plan.planned,
            fingerprint="",
            rehearsal=False,
            beacon="test",
        )
        if resumed is not None:
            for event in (started, *before):
                self.standings.apply(event)
        try:
            async with self.queue.open(recorder.emit, self.standings):
                await conduct.conduct(
                    self.plan,
                    opening=resumed or started,
                    recorder=recorder,
                    queue=self.queue,
                    executor=self.executor,
                    stops=_never(),
                    clock=time.time,
                    rand=lambda: 0.5,
                )
        finally:
            await self.queue.withdraw()
        return self.standings


async def _never() -> AsyncIterator[str]:
    await anyio.sleep_forever()
    yield ""
