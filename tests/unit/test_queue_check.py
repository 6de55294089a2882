from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.queueing import Hands, part, request

from beacon_cli import queue_check
from beacon_cli.ports import Store
from beacon_cli.queues import memory
from beacon_cli.tickets import Caps, Entered, Granted, LogEntry, LogKind, Priority, Waiting

POOLS = {"p1": 1, "p2": 1, "p3": 1}
CAPS = LogEntry(seq=1, at=1.0, kind=LogKind.CAPS, caps=Caps())


TWO_AT_ONCE = LogEntry(seq=0, at=0.0, kind=LogKind.CAPS, caps=Caps(jobs_at_once=2))


def entry(kind: LogKind, ticket: int, **more: Any) -> LogEntry:
    """What happened to a ticket of run `r<ticket>` in `us`, whose rank is its number."""
    fields: dict[str, Any] = {
        "seq": 0,
        "at": 0.0,
        "kind": kind,
        "region": "us",
        "ticket": ticket,
        "run_id": f"r{ticket}",
        "rank": float(ticket),
        "gpus": 3,
        "pools": POOLS,
        **more,
    }
    return LogEntry(**fields)


def numbered(entries: Iterable[LogEntry]) -> list[LogEntry]:
    """A whole log, each entry a second after the one before."""
    return [replace(each, seq=seq, at=float(seq)) for seq, each in enumerate([CAPS, *entries], start=1)]


def entered(ticket: int, **more: Any) -> LogEntry:
    """A ticket was taken."""
    return entry(LogKind.ENTERED, ticket, **more)


def granted(ticket: int, token: int, **more: Any) -> LogEntry:
    """A turn was given."""
    return entry(LogKind.GRANTED, ticket, token=token, **more)


def left(ticket: int, token: int, **more: Any) -> LogEntry:
    """A turn was given back."""
    return entry(LogKind.LEFT, ticket, token=token, **more)


PLANTED: dict[str, tuple[list[LogEntry], int, str, str]] = {
    "a region over its cap": (
        [TWO_AT_ONCE, entered(1), entered(2, gpus=1), granted(1, 3), granted(2, 4, gpus=1)],
        6,
        "GPUs",
        "4 GPUs reserved or warm in region us, of 3",
    ),
    "the workspace over its cap": (
        [
            each
            for n, region in enumerate(("us", "eu", "asia", "mars"), start=1)
            for each in (entered(n, region=region), granted(n, n + 10, region=region))
        ],
        9,
        "GPUs",
        "12 GPUs reserved or warm over all, of 10",
    ),
    "warm containers do not count": (
        [entered(1), granted(1, 2), left(1, 2, warm={"p9": 1}), entered(3), granted(3, 4)],
        6,
        "GPUs",
        "4 GPUs reserved or warm in region us, of 3",
    ),
    "more jobs at once": (
        [entered(1, gpus=1), entered(2, gpus=1), granted(1, 3, gpus=1), granted(2, 4, gpus=1)],
        5,
        "jobs at once",
        "2 turns in region us, of 1",
    ),
    "out of order": ([entered(1), entered(2), granted(2, 3)], 4, "order", "ticket 2 was served before 1"),
    "a cancelled ticket is served": (
        [entered(1), entry(LogKind.CANCELLED, 1), granted(1, 2)],
        4,
        "order",
        "ticket 1 was cancelled",
    ),
    "a token that does not grow": (
        [entered(1), granted(1, 9), left(1, 9), entered(2), granted(2, 9)],
        6,
        "tokens",
        "token 9 comes after token 9",
    ),
    "a lease is granted again": (
        [entered(1), granted(1, 2), granted(1, 3)],
        4,
        "leases",
        "ticket 1 has its turn already (token 2)",
    ),
    "a run has two turns in a region": (
        [
            TWO_AT_ONCE,
            *(entered(1, gpus=1), granted(1, 2, gpus=1)),
            *(entered(3, run_id="r1", gpus=1), granted(3, 4, run_id="r1", gpus=1)),
        ],
        6,
        "leases",
        "run r1 has a turn there already (ticket 1)",
    ),
    "a lease expires without being reclaimed": (
        [entered(1), granted(1, 2), entry(LogKind.EXPIRED, 1)],
        4,
        "leases",
        "ticket 1 had its turn, and was not reclaimed",
    ),
    "a turn where none was had": (
        [entered(1), entry(LogKind.INHERITED, 1, token=2)],
        3,
        "leases",
        "ticket 1 was taken up with a turn, and had no turn",
    ),
    "what waits is reclaimed": (
        [entered(1), entry(LogKind.RECLAIMING, 1)],
        3,
        "leases",
        "ticket 1 has no turn (reclaiming)",
    ),
    "a turn in a paused region": (
        [entered(1), entry(LogKind.PAUSED, 0), granted(1, 2)],
        4,
        "pauses",
        "region us is paused",
    ),
    "pools that are larger than the lease": (
        [entered(1), granted(1, 2), entry(LogKind.POOLS, 1, pools={"p1": 4})],
        4,
        "pools",
        "ticket 1 uses 4 GPUs for its pools, of 3",
    ),
    "a pool that was not warm is gone": (
        [entry(LogKind.WARM_GONE, 0, warm={"p1": 1})],
        2,
        "pools",
        "pool p1 of region us was not warm",
    ),
    "a ticket of nowhere": ([granted(1, 2)], 2, "tickets", "ticket 1 is not in the queue (granted)"),
    "a ticket twice": ([entered(1), entered(1)], 3, "tickets", "ticket 1 is in the queue already"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str) -> None:
    """Each rule that is broken is named with the number of the entry and what was found; nothing else is."""
    entries, seq, rule, found = PLANTED[name]
    proof = queue_check.check(numbered(entries))
    assert [(each.seq, each.rule, each.found) for each in proof.violations] == [(seq, rule, found)]


def test_entries_out_of_their_order_are_found() -> None:
    """A log whose numbers do not grow is no proof."""
    first, second, third = numbered([entered(1), granted(1, 2)])
    proof = queue_check.check([first, replace(second, seq=3), replace(third, seq=3)])
    assert [(each.rule, each.found) for each in proof.violations] == [("numbers", "entry 3 stands after entry 3")]


def test_those_whom_their_users_limits_hold_back_may_be_passed_over() -> None:
    """A grant that names whom it passes over is in order; one that forgets one of them is not."""
    log = [entered(1), entered(2), entered(3), granted(3, 4, passed=(1, 2))]
    assert queue_check.check(numbered(log)).violations == ()
    log[-1] = granted(3, 4, passed=(1,))
    assert [each.rule for each in queue_check.check(numbered(log)).violations] == ["order"]


def test_one_of_several_places_may_go_to_whoever_of_the_first_asks() -> None:
    """With two jobs at once the second in line may be served before the first; the third may not."""
    line = [TWO_AT_ONCE, *(entered(number, gpus=1) for number in (1, 2, 3))]
    assert queue_check.check(numbered([*line, granted(2, 4, gpus=1)])).violations == ()
    assert [each.rule for each in queue_check.check(numbered([*line, granted(3, 4)])).violations] == ["order"]


def test_caps_that_are_lowered_are_no_fault_of_what_is_there() -> None:
    """What was in use when the caps were lowered may stay; nothing may be added to it."""
    lower = LogEntry(seq=0, at=0.0, kind=LogKind.CAPS, caps=Caps(gpus_per_region=1))
    log = [entered(1), granted(1, 2), left(1, 2, warm=POOLS), lower, entered(3, gpus=1, pools={"p9": 1})]
    assert queue_check.check(numbered(log)).violations == ()
    log.append(granted(3, 4, gpus=1, pools={"p9": 1}))
    assert [each.seq for each in queue_check.check(numbered(log)).violations] == [7]


def test_only_what_came_since_is_said() -> None:
    """The whole log is replayed, and violations before the moment that was asked for are left out."""
    log = numbered([entered(1), entered(2), granted(2, 3), granted(1, 4)])
    assert [each.seq for each in queue_check.check(log).violations] == [4, 5, 5]  # too many jobs, too many GPUs
    assert [each.seq for each in queue_check.check(log, since=5.0).violations] == [5, 5]


def test_a_period_has_its_own_figures() -> None:
    """Violations, counts and the most GPUs are those of the time that was asked about; what stood then counts."""
    log = numbered([entered(1), granted(1, 2, gpus=9), left(1, 2, gpus=9), entered(3), granted(3, 4), left(3, 4)])
    whole = queue_check.check(log)
    assert ([each.seq for each in whole.violations], whole.peaks) == ([3], {"": 9, "us": 9})
    late = queue_check.check(log, since=5.0)
    assert (late.violations, late.peaks, late.entries, late.grants) == ((), {"": 3, "us": 3}, 3, 1)
    assert (late.first_at, late.last_at) == (5.0, 7.0)
    early = queue_check.check(log, until=2.5)
    assert (early.violations, early.peaks, early.entries, early.last_at) == ((), {"": 0, "us": 0}, 2, 2.0)
    between = queue_check.check(log, since=3.2, until=3.8)
    assert (between.entries, between.peaks) == (0, {"": 9, "us": 9})
    assert queue_check.check(log, since=9.0).peaks == {"": 0}


def test_a_period_after_what_was_forgotten_is_whole() -> None:
    """A log that begins with how things stood proves nothing of before, and all of after."""
    log = [entry(LogKind.STANDING, 1, seq=7, at=7.0, token=5), left(1, 5, seq=8, at=9.0)]
    assert not queue_check.check(log).is_whole
    assert not queue_check.check(log, since=6.0).is_whole
    after = queue_check.check(log, since=8.0)
    assert (after.is_whole, after.peaks) == (True, {"": 3, "us": 3})


def test_the_proof_says_what_it_is_of() -> None:
    """Entries, grants, the first and the last moment, and the most GPUs ever in use, by region and over all."""
    log = [entered(1), granted(1, 2), entered(3, region="eu", gpus=2), granted(3, 4, region="eu", gpus=2)]
    proof = queue_check.check(numbered(log))
    assert (proof.entries, proof.grants, proof.first_at, proof.last_at) == (5, 2, 1.0, 5.0)
    assert proof.peaks == {"us": 3, "eu": 2, "": 5}
    assert queue_check.check([]).peaks == {"": 0}


RUNS = st.sampled_from("abcdef")
ACTS = st.one_of(
    st.tuples(st.just("enter"), RUNS, st.sampled_from(["us", "eu"]), st.sampled_from(Priority), st.integers(1, 3)),
    st.tuples(st.just("claim")),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.just("gone")),
    st.tuples(st.just("die"), RUNS),
    st.tuples(st.just("reclaim")),
    st.tuples(st.just("cancel"), RUNS),
    st.tuples(st.just("pause"), st.booleans()),
)


class Crowd:
    """Runs that do what they are told to a store, as processes would."""

    def __init__(self, caps: Caps) -> None:
        self.hands = Hands()
        self.store: Store = memory.store(self.hands, self.hands.wall)
        self.store.agree(caps)
        self.lives: dict[str, int] = {}

    def holder(self, run: str) -> str:
        """The process that carries the run now."""
        return f"host:{run}:{self.lives.get(run, 0)}"

    def enter(self, run: str, region: str, priority: Priority, gpus: int) -> None:
        """Take a ticket for pools of so many GPUs."""
        pools = dict(list(POOLS.items())[:gpus])
        asked = request(run, region, priority=priority, pools=pools, holder=self.holder(run), user=run)
        self.store.enter(asked)

    def claim(self) -> None:
        """Everybody who waits asks for the turn, and cools what stands in the way."""
        for line in self.store.snapshot().regions.values():
            for ticket in line.waiting:
                answer = self.store.claim(ticket.id, ticket.holder)
                for idle in answer.cool if isinstance(answer, Waiting) else ():
                    self.store.gone(idle)

    def leave(self, warm: int) -> None:
        """Everybody who has a turn gives it back, with so many pools warm."""
        for line in self.store.snapshot().regions.values():
            for ticket in line.active:
                left_warm = dict(list(ticket.pools.items())[:warm])
                self.store.leave(ticket.id, ticket.token, part(), left_warm)

    def gone(self) -> None:
        """Everything that is warm ends."""
        for line in self.store.snapshot().regions.values():
            for each in line.warm:
                self.store.gone(each)

    def die(self, run: str) -> None:
        """The run's process is gone for good; everybody else renews."""
        self.lives[run] = self.lives.get(run, 0) + 1
        for _ in range(2):
            self.hands.pass_by(20)
            for other in "abcdef":
                self.store.renew(self.holder(other))

    def reclaim(self) -> None:
        """What the dead left is ended."""
        for line in self.store.snapshot().regions.values():
            for ticket in line.active:
                if self.store.reclaim(ticket.id, "host:mender"):
                    self.store.reclaimed(ticket.id, "host:mender", {"p1": 1})

    def cancel(self, run: str) -> None:
        """Somebody cancels the run."""
        self.store.cancel(run, None, "ann")

    def pause(self, paused: bool) -> None:  # noqa: FBT001 - drawn by name
        """A region is paused, or goes on."""
        self.store.pause("us", paused=paused)


@given(
    st.lists(ACTS, max_size=60),
    st.sampled_from(
        [Caps(), Caps(jobs_at_once=2), Caps(gpus_total=4), Caps(jobs_running=1), Caps(executions_per_hour=50)]
    ),
)
def test_what_a_store_does_is_never_blamed(acts: list[tuple[Any, ...]], caps: Caps) -> None:
    """Whatever processes do to a store, and whenever they die, its log is proved to be in order."""
    crowd = Crowd(caps)
    for name, *given_to in acts:
        act: Callable[..., None] = getattr(crowd, name)
        act(*given_to)
        crowd.hands.pass_by(1)
    proof = queue_check.check(crowd.store.log())
    assert proof.violations == ()
    assert proof.entries == len(list(crowd.store.log()))


def test_a_turn_is_in_the_proof() -> None:
    """The crowd of the test above really gets turns: its proof is not about nothing."""
    crowd = Crowd(Caps())
    crowd.enter("a", "us", Priority.NORMAL, 3)
    crowd.claim()
    ticket = crowd.store.snapshot().regions["us"].active[0]
    assert crowd.store.claim(ticket.id, ticket.holder) == Granted(ticket.token)
    assert isinstance(crowd.store.enter(request("a", holder=ticket.holder)), Entered)
    assert queue_check.check(crowd.store.log()).grants == 1
