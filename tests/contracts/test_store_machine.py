"""`ports.Store`: the same commands give the same answers in every adapter, and its promises hold after each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.chaos import count
from tests.support.queueing import Hands, part, request
from tests.support.queuelog import Replay
from tests.support.redis import Server, queue_name

from beacon_cli import queue_check
from beacon_cli.errors import QueueError
from beacon_cli.ports import Store
from beacon_cli.queues import memory, redis, sqlite
from beacon_cli.tickets import Caps, FailedExecution, HowEnded, LogEntry, Priority, Ticket, TicketState, Warm

Call: TypeAlias = Callable[[Store], Any]

AGO = 900
"""Seconds on the clock when the Redis store is made, long before anything is asked of it."""
BASE = AGO * 10_000
"""Its numbers begin here; those of the others at 0."""
LOG_KEPT = 40
"""So few entries of the log that some are forgotten in most sequences."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder that needs no disk, where there is one

RUNS = st.sampled_from("abcde")
REGIONS = st.sampled_from(["us", "us", "eu"])
USERS = st.sampled_from(["ann", "ben"])
POOLS = st.sampled_from([{"p": 1}, {"p": 1, "q": 1}, {"p": 2}, {"x": 1, "y": 1, "z": 1}, {"x": 1, "q": 2}, {}])
REQUESTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    run=RUNS,
    region=REGIONS,
    user=USERS,
    process=st.sampled_from("1112"),
    pools=POOLS,
    executions=st.sampled_from([0, 1, 12, 31]),
    priority=st.sampled_from(Priority),
)
CAPS = st.builds(
    Caps,
    gpus_total=st.integers(3, 6),
    gpus_per_region=st.sampled_from([2, 3, 3, 4]),
    jobs_at_once=st.sampled_from([1, 1, 2, 3]),
    jobs_waiting=st.sampled_from([None, None, None, 2]),
    jobs_running=st.sampled_from([None, None, 1, 2]),
    executions_per_hour=st.sampled_from([None, None, 30]),
)
ORDERS = st.sampled_from(["cancel", "pause", "release", "caps", "wait"])
PICKS = st.integers(0, 5)
SOMETIMES = st.sampled_from([False, False, False, True])


class Machine(RuleBasedStateMachine):
    """Three stores, of which memory is the model."""

    url = ""
    ended: ClassVar[list[int]] = []
    """The entries in the log of each sequence that has come to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = Hands()
        self.folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
        self.hands.now = AGO
        far = redis.store(self.url, queue=queue_name(), clock=self.hands, wall=self.hands.wall, log_kept=LOG_KEPT)
        far.begin()
        self.hands.now = 1000
        self.stores: list[tuple[Store, int]] = [
            (memory.store(self.hands, self.hands.wall, log_kept=LOG_KEPT), 0),
            (sqlite.store(self.folder / "queue.db", clock=self.hands, wall=self.hands.wall, log_kept=LOG_KEPT), 0),
            (far, BASE),
        ]
        self.replay = Replay()
        self.told = 0
        self.tickets: list[Ticket] = []
        self.warm: list[Warm] = []

    def teardown(self) -> None:
        """See that they remember the same, and close them."""
        log = list(self.stores[0][0].log())
        self.ended.append(len(log))
        assert queue_check.check(log).violations == (), "what is left of the log can be proved"
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
            assert other == answers[0], name
        return answers[0]

    def pick(self, which: int, *states: TicketState) -> Ticket:
        """One of those in the queue that are in these states, or else of all."""
        found = [each for each in self.tickets if each.state in states] or self.tickets
        return found[which % len(found)]

    @initialize(caps=CAPS, requests=st.lists(REQUESTS, min_size=2, max_size=5))
    def begin(self, caps: Caps, requests: list[dict[str, Any]]) -> None:
        """The first sets the caps, and some come."""
        self.all("agree", caps)
        self.enter(requests=requests, is_served=True)

    @rule(requests=st.lists(REQUESTS, min_size=1, max_size=4), is_served=st.booleans())
    def enter(self, requests: list[dict[str, Any]], *, is_served: bool) -> None:
        """Runs enter, or come back by another process; mostly they ask for their turns at once."""
        for each in requests:
            fields = {**each, "holder": f"{each['run']}:{each['process']}"}
            del fields["process"]
            self.all("enter", request(**fields))
        if is_served:
            self.look()
            self.everyone_claims(backwards=False)

    @precondition(lambda self: self.tickets)
    @rule(backwards=st.booleans())
    def everyone_claims(self, *, backwards: bool) -> None:
        """Whoever is there asks for the turn."""
        for each in reversed(self.tickets) if backwards else self.tickets:
            self.all("claim", each.holder, ticket=each.id)

    @precondition(lambda self: self.tickets)
    @rule(which=PICKS, is_thief=SOMETIMES)
    def claim(self, which: int, *, is_thief: bool) -> None:
        """One asks for its turn, or for another's."""
        mine = self.pick(which, TicketState.WAITING)
        self.all("claim", "thief" if is_thief else mine.holder, ticket=mine.id)

    @precondition(lambda self: self.tickets)
    @rule(which=PICKS, seconds=st.sampled_from([0.25, 10.0, 29.75]), is_alone=st.booleans())
    def renew(self, which: int, seconds: float, *, is_alone: bool) -> None:
        """Time passes, and all say that they are still there, or one."""
        self.hands.pass_by(seconds)
        for holder in sorted({each.holder for each in self.tickets}):
            if not is_alone or holder == self.pick(which).holder:
                self.all("renew", holder)

    @precondition(lambda self: self.tickets)
    @rule(
        which=PICKS, is_late=SOMETIMES, placed=st.lists(st.sampled_from("cdef"), max_size=3),
        ended=st.lists(st.sampled_from("cdef"), max_size=2), question=st.sampled_from([None, "", "q1"]),
        working=st.sampled_from([None, (), ("m1", "m2")]), progressed=SOMETIMES, pools=POOLS,
    )  # fmt: skip
    def say(self, which: int, pools: Mapping[str, int], *, is_late: bool, **said: Any) -> None:
        """A lease says what it is at, and would go on to other models, within its GPUs or not."""
        mine = self.pick(which, TicketState.HOLDING)
        self.all("note", ticket=mine.id, token=mine.token + is_late, **said)
        self.all("hold", pools, ticket=mine.id, token=mine.token + is_late)

    @precondition(lambda self: self.tickets)
    @rule(which=PICKS, is_late=SOMETIMES)
    def abandon(self, which: int, *, is_late: bool) -> None:
        """A lease is left to whoever reclaims it."""
        mine = self.pick(which, TicketState.HOLDING)
        self.all("abandon", ticket=mine.id, token=mine.token + is_late)

    @precondition(lambda self: self.tickets)
    @rule(
        which=PICKS, state=st.sampled_from(["holding", "holding", "waiting"]), is_late=SOMETIMES,
        how=st.sampled_from(HowEnded), counts=st.tuples(st.integers(0, 2), st.integers(0, 2)), warm=st.booleans(),
        is_served=st.booleans(),
    )  # fmt: skip
    def leave(self, which: int, state: str, how: HowEnded, counts: tuple[int, int], **flags: bool) -> None:
        """A lease or a ticket is given back, its containers warm or gone."""
        mine = self.pick(which, TicketState(state))
        failure = FailedExecution(
            run_id=mine.run_id, execution=f"e{which}", region=mine.region, model="m", question="q", kind="k",
            message="no\ud800", at=self.hands.now,
        )  # fmt: skip
        failures = (failure,) * (counts[1] > 0)
        ended = part(how, succeeded=counts[0], failed=counts[1], seconds=counts[0] / 3, failures=failures)
        left = mine.pools if flags["warm"] else {}
        self.all("leave", ended, left, ticket=mine.id, token=mine.token + flags["is_late"])
        if flags["is_served"]:
            self.look()
            self.everyone_claims(backwards=True)

    @precondition(lambda self: self.tickets)
    @rule(which=PICKS, seconds=st.sampled_from([0.0, 30.0, 31.0, 31.0]), by=st.sampled_from(["b:1", "c:1", ""]))
    def reclaim(self, which: int, seconds: float, by: str) -> None:
        """Nobody renews; a process takes a lease over, dead or not, another's or its own."""
        self.hands.pass_by(seconds)
        dead = self.pick(which, TicketState.HOLDING, TicketState.RECLAIMING)
        self.all("reclaim", by or dead.holder, ticket=dead.id)

    @precondition(lambda self: any(each.is_active for each in self.tickets))
    @rule(which=PICKS, is_thief=SOMETIMES, is_warm=st.booleans())
    def reclaimed(self, which: int, *, is_thief: bool, is_warm: bool) -> None:
        """What a dead lease left behind has ended."""
        dead = self.pick(which, TicketState.RECLAIMING)
        self.all("reclaimed", "thief" if is_thief else dead.holder, dead.pools if is_warm else {}, ticket=dead.id)

    @precondition(lambda self: self.warm)
    @rule(which=PICKS)
    def cool(self, which: int) -> None:
        """Idle containers have ended."""
        idle = self.warm[which % len(self.warm)]
        self.all("gone", msgspec.structs.replace(idle, since=idle.since - 1.0))
        self.all("gone", idle)
        self.all("gone", idle)

    @rule(what=ORDERS, run=RUNS, region=REGIONS, caps=CAPS, is_small=st.booleans())
    def order(self, what: str, run: str, region: str, caps: Caps, *, is_small: bool) -> None:
        """Somebody gives an order, or a long time passes."""
        match what:
            case "cancel":
                self.all("cancel", run, region if is_small else None, "ben")
            case "pause":
                self.all("pause", region, paused=is_small)
            case "release":
                self.all("release", run)
            case "caps":
                self.all("set_caps", caps)
            case _:
                self.hands.pass_by(900.0 if is_small else 3600.0)

    def look(self) -> None:
        """What is in the queue now, by the model."""
        lines = self.stores[0][0].snapshot().regions.values()
        found = (each for line in lines for each in (*line.active, *line.waiting))
        self.tickets = sorted(found, key=lambda each: each.id)
        self.warm = [each for line in lines for each in line.warm]

    @invariant()
    def all_see_the_same(self) -> None:
        """Snapshots and logs are equal; caps and order hold by the log, and by sight."""
        whole = self.all("snapshot")
        self.look()
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
            return {_from_zero(key, base): _from_zero(each, base) for key, each in value.items()}
    return [_from_zero(each, base) for each in value]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part_of_all", range(count(1, 20)))
def test_every_store_is_the_model(server: Server, part_of_all: int) -> None:  # noqa: ARG001
    """Whatever is asked of the three stores, they answer alike, and caps, order and tokens hold."""
    ended: list[int] = []
    machine = type("Served", (Machine,), {"url": server.url, "ended": ended})
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
    assert sum(ended) > 0, "the stores were told nothing"
