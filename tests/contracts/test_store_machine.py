"""`ports.Store`: the same commands give the same answers in every adapter, and its promises hold after each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.support.chaos import count
from tests.support.queueing import Hands, part, request
from tests.support.queuelog import Replay
from tests.support.redis import Server, queue_name

from beacon_cli.errors import QueueError
from beacon_cli.ports import Store
from beacon_cli.queues import memory, redis, sqlite
from beacon_cli.tickets import Caps, FailedExecution, HowEnded, LogEntry, Priority, Ticket

Call: TypeAlias = Callable[[Store], Any]

AGO = 900
"""Seconds on the clock when the Redis store is made, long before anything is asked of it."""
BASE = AGO * 10_000
"""Its numbers begin here; those of the others at 0."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder that needs no disk, where there is one

RUNS = st.sampled_from("abcdef")
REGIONS = st.sampled_from(["us", "eu", "asia"])
USERS = st.sampled_from(["ann", "ben"])
POOLS = st.sampled_from(
    [{"p": 1}, {"p": 1, "q": 1}, {"p": 2}, {"x": 1, "y": 1, "z": 1}, {"x": 1, "q": 2}, {"p": 4}, {}]
)
CAPS = st.builds(
    Caps,
    gpus_total=st.integers(3, 6),
    gpus_per_region=st.integers(1, 4),
    jobs_at_once=st.integers(1, 3),
    jobs_waiting=st.sampled_from([None, None, 1, 3]),
    jobs_running=st.sampled_from([None, None, 1, 2]),
    executions_per_hour=st.sampled_from([None, None, 30]),
)
PICKS = st.integers(0, 7)


class Machine(RuleBasedStateMachine):
    """Three stores, of which memory is the model."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.hands = Hands()
        self.folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
        self.hands.now = AGO
        far = redis.store(self.url, queue=queue_name(), clock=self.hands, wall=self.hands.wall)
        self.hands.now = 1000
        self.stores: list[tuple[Store, int]] = [
            (memory.store(self.hands, self.hands.wall), 0),
            (sqlite.store(self.folder / "queue.db", clock=self.hands, wall=self.hands.wall), 0),
            (far, BASE),
        ]
        self.replay = Replay()
        self.told = 0

    def teardown(self) -> None:
        """See that they remember the same, and close them."""
        self.all("failures")
        self.all("set_aside")
        for store, _ in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def all(
        self, name: str, *arguments: Any, ticket: int | None = None, token: int | None = None, **named: Any
    ) -> Any:
        """Ask the same of each; gives the answer, which is one."""
        answers = []
        for store, base in self.stores:
            numbers = [number + base if number else 0 for number in (ticket, token) if number is not None]
            try:
                answer = getattr(store, name)(*numbers, *arguments, **named)
            except QueueError as error:
                answer = str(error)
            answers.append(plain(answer, base))
        for other in answers[1:]:
            assert other == answers[0]
        return answers[0]

    def tickets(self) -> list[Ticket]:
        """What is in the queue, by number."""
        lines = self.stores[0][0].snapshot().regions.values()
        return sorted((each for line in lines for each in (*line.active, *line.waiting)), key=lambda each: each.id)

    def pick(self, which: int, *, active: bool | None = None) -> Ticket | None:
        """One of them, mostly of those that are active or that wait."""
        found = [each for each in self.tickets() if which == 0 or active in {None, each.is_active}]
        return found[which % len(found)] if found else None

    @initialize(caps=CAPS)
    def agree(self, caps: Caps) -> None:
        """The first sets the caps."""
        self.all("agree", caps)

    @rule(
        run=RUNS, region=REGIONS, user=USERS, holder=st.sampled_from("111123"), pools=POOLS,
        executions=st.integers(0, 31), priority=st.sampled_from(Priority),
    )  # fmt: skip
    def enter(self, run: str, region: str, holder: str, **fields: Any) -> None:
        """A run enters a region, or comes back to it by another process."""
        self.all("enter", request(run, region, holder=f"{run}:{holder}", **fields))

    @rule()
    def everyone_claims(self) -> None:
        """Whoever waits asks for the turn."""
        for each in self.tickets():
            self.all("claim", each.holder, ticket=each.id)

    @rule(which=PICKS, is_own=st.booleans())
    def claim(self, which: int, *, is_own: bool) -> None:
        """One asks for its turn, or for another's."""
        if mine := self.pick(which):
            self.all("claim", mine.holder if is_own else "b:1", ticket=mine.id)

    @rule(which=PICKS)
    def renew(self, which: int) -> None:
        """One process is still there."""
        mine = self.pick(which)
        self.all("renew", mine.holder if mine else "nobody")

    @rule()
    def everyone_renews(self) -> None:
        """All are still there."""
        for holder in {each.holder for each in self.tickets()}:
            self.all("renew", holder)

    @rule(which=PICKS, pools=POOLS, late=st.sampled_from([0, 0, 1]))
    def hold(self, which: int, pools: Mapping[str, int], late: int) -> None:
        """A lease goes on to other models, within its GPUs."""
        mine = self.pick(which, active=True)
        if mine and sum(pools.values()) <= mine.gpus:
            self.all("hold", pools, ticket=mine.id, token=mine.token + late)

    @rule(
        which=PICKS, late=st.sampled_from([0, 0, 1]), placed=st.lists(st.sampled_from("cdef")),
        ended=st.lists(st.sampled_from("cdef")), question=st.sampled_from([None, "", "q1"]),
        working=st.sampled_from([None, (), ("m1", "m2")]),
    )  # fmt: skip
    def note(self, which: int, late: int, **said: Any) -> None:
        """A lease says what it is at."""
        if mine := self.pick(which, active=True):
            self.all("note", ticket=mine.id, token=mine.token + late, **said)

    @rule(
        which=PICKS, late=st.sampled_from([0, 0, 0, 1]), how=st.sampled_from(HowEnded),
        counts=st.tuples(st.integers(0, 5), st.integers(0, 2)), is_warm=st.booleans(), is_active=st.booleans(),
    )  # fmt: skip
    def leave(self, which: int, late: int, how: HowEnded, counts: tuple[int, int], **flags: bool) -> None:
        """A lease or a ticket is given back, some of its containers still warm."""
        if mine := self.pick(which, active=flags["is_active"]):
            failure = FailedExecution(
                run_id=mine.run_id, execution=f"e{which}", region=mine.region, model="m", question="q", kind="k",
                message="no\ud800", at=self.hands.now,
            )  # fmt: skip
            failures = (failure,) * (counts[1] > 0)
            ended = part(how, succeeded=counts[0], failed=counts[1], seconds=counts[0] / 3, failures=failures)
            warm = mine.pools if flags["is_warm"] else {}
            self.all("leave", ended, warm, ticket=mine.id, token=mine.token + late)

    @rule(run=RUNS, region=st.one_of(st.none(), REGIONS), by=USERS)
    def cancel(self, run: str, region: str | None, by: str) -> None:
        """Somebody ends a run."""
        self.all("cancel", run, region, by)

    @rule(region=REGIONS, paused=st.sampled_from([True, False, False]))
    def pause(self, region: str, *, paused: bool) -> None:
        """Somebody drains a region, or lets it go on."""
        self.all("pause", region, paused=paused)

    @rule(which=PICKS, by=st.sampled_from(["b:1", "b:1", "c:1", ""]))
    def reclaim(self, which: int, by: str) -> None:
        """A process takes a lease over, dead or not, another's or its own."""
        if dead := self.pick(which, active=True):
            self.all("reclaim", by or dead.holder, ticket=dead.id)

    @rule(which=PICKS, is_own=st.sampled_from([True, True, False]), is_warm=st.booleans())
    def reclaimed(self, which: int, *, is_own: bool, is_warm: bool) -> None:
        """What a dead lease left behind has ended."""
        if dead := self.pick(which, active=True):
            self.all("reclaimed", dead.holder if is_own else "z:1", dead.pools if is_warm else {}, ticket=dead.id)

    @rule(region=REGIONS, pool=st.sampled_from("pqxyz"))
    def gone(self, region: str, pool: str) -> None:
        """Idle containers have ended."""
        self.all("gone", region, pool)

    @rule(run=RUNS)
    def release(self, run: str) -> None:
        """Somebody has found out why a run's processes died."""
        self.all("release", run)

    @rule(caps=CAPS)
    def set_caps(self, caps: Caps) -> None:
        """Somebody sets other caps."""
        self.all("set_caps", caps)

    @rule(seconds=st.sampled_from([0.25, 1.0, 10.0, 29.75, 31.0, 31.0, 900.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        """Nobody does anything for a while."""
        self.hands.pass_by(seconds)

    @invariant()
    def all_see_the_same(self) -> None:
        """Snapshots and logs are equal; caps and order hold by the log, and by sight."""
        whole = self.all("snapshot")
        entries = msgspec.convert(self.all("log", self.told)[1], list[LogEntry])
        self.told += len(entries)
        self.replay.play(entries)
        regions = whole[1]["regions"]
        for region, line in regions.items():
            gpus = sum(each["gpus"] for each in (*line["active"], *line["warm"]))
            assert gpus == self.replay.used(region)
        assert self.replay.used() == sum(self.replay.used(region) for region in regions)


def plain(answer: Any, base: int) -> tuple[str, Any]:
    """An answer without its types, numbers counted from 0."""
    kind = "list" if isinstance(answer, list | tuple) else type(answer).__name__
    return kind, _from_zero(msgspec.to_builtins(answer), base)


def _from_zero(value: Any, base: int) -> Any:
    match value:
        case bool() | float() | str() | None:
            return value
        case int():
            return value - base if value > base else value
        case dict():
            return {key: _from_zero(each, base) for key, each in value.items()}
    return [_from_zero(each, base) for each in value]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis; each sequence has a queue of its own in it."""
    with Server(tmp_path_factory.mktemp("redis"), 'save ""') as started:
        yield started


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part_of_all", range(count(1, 20)))
def test_every_store_is_the_model(server: Server, part_of_all: int) -> None:  # noqa: ARG001
    """Whatever is asked of the three stores, they answer alike, and caps, order and tokens hold."""
    machine = type("Served", (Machine,), {"url": server.url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=count(50, 500),
            stateful_step_count=30,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # explaining traces each line
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
