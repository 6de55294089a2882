"""`ports.Store`, over all its adapters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.support.queueing import Hands, part, request
from tests.support.redis import Server, queue_name

from beacon_cli.errors import QueueError
from beacon_cli.ports import Store
from beacon_cli.queues import memory, redis, sqlite
from beacon_cli.queues.tables import KEPT_FAILURES
from beacon_cli.tickets import (
    Caps,
    Entered,
    FailedExecution,
    Granted,
    HowEnded,
    LogKind,
    NotYet,
    Priority,
    Refused,
    TicketState,
    Unknown,
    Waiting,
    Why,
)

Given: TypeAlias = tuple[Store, Hands]
NOTHING = part(HowEnded.CANCELLED, succeeded=0, seconds=0.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis for all tests of this file; each has a queue of its own in it."""
    with Server(tmp_path_factory.mktemp("redis"), 'save ""') as started:
        yield started


@pytest.fixture(params=["memory", "sqlite", "redis"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Given]:
    """An empty store that was made long ago, and the clock that it reads."""
    hands = Hands()
    store: Store
    match request.param:
        case "memory":
            store = memory.store(hands, hands.wall)
        case "sqlite":
            store = sqlite.store(tmp_path / "home" / "queue.db", clock=hands, wall=hands.wall)
        case _:
            url = request.getfixturevalue("server").url
            hands.pass_by(-100)
            store = redis.store(url, queue=queue_name(), clock=hands, wall=hands.wall)
            store.begin()
            hands.pass_by(100)
    yield store, hands
    store.close()


def enter(store: Store, run: str = "a", region: str = "us", **changes: Any) -> int:
    """Take a ticket; gives its number."""
    entrance = store.enter(request(run, region, **changes))
    assert isinstance(entrance, Entered), entrance
    return entrance.ticket


def waiting(store: Store, ticket: int, run: str) -> Waiting:
    """What a ticket waits for."""
    answer = store.claim(ticket, f"host:{run}")
    assert isinstance(answer, Waiting), answer
    return answer


def granted(store: Store, ticket: int, run: str) -> int:
    """The token of a ticket's turn."""
    answer = store.claim(ticket, f"host:{run}")
    assert isinstance(answer, Granted), answer
    return answer.token


def turn(store: Store, run: str = "a", region: str = "us", **changes: Any) -> tuple[int, int]:
    """Take a ticket and its turn; gives its number and token."""
    ticket = enter(store, run, region, **changes)
    return ticket, granted(store, ticket, changes.get("holder", f"host:{run}").removeprefix("host:"))


class TestOrder:
    """Who is served when."""

    def test_the_first_to_come_is_the_first_served(self, given: Given) -> None:
        """A region serves its tickets in the order of their entry, one job at a time."""
        store, _ = given
        tickets = {run: enter(store, run) for run in "abc"}
        assert [waiting(store, tickets[run], run).position for run in "bc"] == [2, 3]
        assert waiting(store, tickets["b"], "b").why is Why.TURN
        token = granted(store, tickets["a"], "a")
        assert waiting(store, tickets["b"], "b").position == 1
        assert store.leave(tickets["a"], token, part(), {})
        assert waiting(store, tickets["c"], "c").why is Why.TURN
        assert granted(store, tickets["b"], "b")

    def test_regions_go_on_by_themselves(self, given: Given) -> None:
        """A turn in one region holds nobody back in another."""
        store, _ = given
        turn(store, "a", "us")
        turn(store, "b", "eu")
        turn(store, "c", "asia")
        assert waiting(store, enter(store, "d", "eu"), "d").position == 1

    def test_a_higher_priority_goes_first(self, given: Given) -> None:
        """Within a region the higher priority is served first, and within equals who came first."""
        store, hands = given
        tickets = {}
        for run, priority in [("a", "low"), ("b", "normal"), ("c", "high"), ("d", "high")]:
            tickets[run] = enter(store, run, priority=Priority(priority))
            hands.pass_by(1)
        assert {run: waiting(store, tickets[run], run).position for run in "abd"} == {"d": 2, "b": 3, "a": 4}

    def test_a_low_priority_never_starves(self, given: Given) -> None:
        """Whoever waits long enough stands before every newcomer, whatever their priority."""
        store, hands = given
        low = enter(store, "a", priority=Priority.LOW)
        caps = Caps()
        while hands.now < 1000 + 2 * caps.ageing + 1:
            hands.pass_by(20)
            store.renew("host:a")
        high = enter(store, "b", priority=Priority.HIGH)
        assert waiting(store, high, "b").position == 2
        assert granted(store, low, "a")

    def test_a_paused_region_grants_nothing(self, given: Given) -> None:
        """In a paused region those who have their turn keep it, and nobody gets one until it goes on."""
        store, _ = given
        first, token = turn(store, "a")
        store.pause("us", paused=True)
        second = enter(store, "b")
        assert store.note(first, token, placed=["fc-1"])
        assert store.leave(first, token, part(), {})
        assert waiting(store, second, "b").why is Why.PAUSED
        assert store.snapshot().regions["us"].paused
        store.pause("us", paused=False)
        assert granted(store, second, "b")

    def test_several_jobs_at_once(self, given: Given) -> None:
        """As many jobs have their turn in a region as the caps say, within its GPUs."""
        store, _ = given
        store.agree(Caps(jobs_at_once=2, gpus_per_region=3))
        turn(store, "a", pools={"p1": 1})
        second = enter(store, "b", pools={"p1": 1, "p2": 1, "p3": 1})
        third = enter(store, "c", pools={"p1": 1})
        assert waiting(store, second, "b").why is Why.GPUS
        assert waiting(store, third, "c").why is Why.TURN

    def test_nobody_overtakes_within_a_region(self, given: Given) -> None:
        """However many jobs may work at once: who comes later waits for the first, and so nobody starves."""
        store, _ = given
        store.agree(Caps(jobs_at_once=3))
        first, token = turn(store, "a", pools={"p": 1})
        large, small = enter(store, "b"), enter(store, "c", pools={"p": 1})
        assert waiting(store, large, "b").why is Why.GPUS
        assert waiting(store, small, "c").why is Why.TURN
        assert store.leave(first, token, part(), {})
        assert waiting(store, small, "c").why is Why.TURN
        assert granted(store, large, "b")

    def test_asking_again_gives_the_same_turn(self, given: Given) -> None:
        """An entry or a claim that is repeated, its answer having been lost, changes nothing."""
        store, _ = given
        ticket, token = turn(store, "a")
        assert store.enter(request("a")) == Entered(ticket, token)
        assert store.claim(ticket, "host:a") == Granted(token)


class TestCaps:
    """What the workspace allows."""

    def test_the_workspace_has_a_limit_over_all_regions(self, given: Given) -> None:
        """Regions together never reserve more GPUs than the workspace has."""
        store, _ = given
        for region in ("r1", "r2", "r3"):
            turn(store, region, region)
        fourth = waiting(store, enter(store, "d", "r4"), "d")
        assert (fourth.why, fourth.position) == (Why.TOTAL, 1)

    def test_who_waits_for_the_workspace_is_not_overtaken(self, given: Given) -> None:
        """A later and smaller ticket of another region does not take the GPUs that an earlier one waits for."""
        store, _ = given
        turns = {region: turn(store, region, region) for region in ("r1", "r2", "r3")}
        large, small = enter(store, "d", "r4"), enter(store, "e", "r5", pools={"p": 1})
        assert waiting(store, small, "e").why is Why.TOTAL
        ticket, token = turns["r1"]
        assert store.leave(ticket, token, part(), {})
        assert granted(store, large, "d")
        assert granted(store, small, "e")

    def test_warm_containers_count(self, given: Given) -> None:
        """A pool that a turn leaves warm counts until it is known gone, and stands in the way of other pools."""
        store, _ = given
        ticket, token = turn(store, "a")
        assert store.leave(ticket, token, part(), {"p1": 1, "p2": 1})
        assert store.snapshot().regions["us"].gpus == 2
        other = enter(store, "b", pools={"x": 1, "y": 1})
        answer = waiting(store, other, "b")
        assert answer.why is Why.GPUS
        assert [each.pool for each in answer.cool] == ["p1"]
        store.gone(answer.cool[0])
        assert granted(store, other, "b")
        assert store.snapshot().regions["us"].gpus == 3

    def test_a_pool_that_is_warm_anew_is_not_freed(self, given: Given) -> None:
        """Who saw a pool empty, and says so after another job has worked there and left it warm, frees nothing."""
        store, hands = given
        ticket, token = turn(store, "a")
        assert store.leave(ticket, token, part(), {"p1": 1})
        seen = store.snapshot().regions["us"].warm[0]
        hands.pass_by(1)
        ticket, token = turn(store, "b")
        assert store.leave(ticket, token, part(), {"p1": 1})
        store.gone(seen)
        assert store.snapshot().regions["us"].gpus == 1

    def test_warm_containers_of_several_turns_add_up(self, given: Given) -> None:
        """Two turns that leave containers of one pool leave both: none of them is forgotten."""
        store, _ = given
        store.agree(Caps(jobs_at_once=2))
        turns = [turn(store, run, pools={"p": 1}) for run in "ab"]
        for ticket, token in turns:
            assert store.leave(ticket, token, part(), {"p": 1})
        assert store.snapshot().regions["us"].gpus == 2
        answer = waiting(store, enter(store, "c", pools={"x": 2}), "c")
        assert [(each.pool, each.gpus) for each in answer.cool] == [("p", 2)]

    def test_warm_containers_of_the_same_models_are_taken_over(self, given: Given) -> None:
        """The next job with the same pools starts at once, and its warm containers are not counted twice."""
        store, _ = given
        ticket, token = turn(store, "a")
        assert store.leave(ticket, token, part(), {"p1": 1, "p2": 1, "p3": 1})
        turn(store, "b")
        line = store.snapshot().regions["us"]
        assert (line.gpus, line.warm) == (3, ())

    def test_containers_that_were_not_taken_over_stay_counted(self, given: Given) -> None:
        """A turn that reserves less of a pool than is warm leaves what it had beside that, not in its place."""
        store, _ = given
        ticket, token = turn(store, "a", pools={"p1": 2})
        assert store.leave(ticket, token, part(), {"p1": 2})
        ticket, token = turn(store, "b", pools={"p1": 1})
        assert store.snapshot().regions["us"].gpus == 3
        assert store.leave(ticket, token, part(), {"p1": 1})
        assert store.snapshot().regions["us"].gpus == 3

    def test_warm_containers_of_other_regions_give_way(self, given: Given) -> None:
        """What is idle in other regions is cooled if the workspace's limit asks for it, the longest idle first."""
        store, hands = given
        for region in ("r3", "r1", "r2"):
            ticket, token = turn(store, region, region)
            hands.pass_by(1)
            assert store.leave(ticket, token, part(), {"p1": 1, "p2": 1, "p3": 1})
        answer = waiting(store, enter(store, "d", "r4"), "d")
        assert answer.why is Why.TOTAL
        assert [(each.region, each.pool) for each in answer.cool] == [("r3", "p1"), ("r3", "p2")]

    def test_what_an_earlier_ticket_takes_over_is_not_cooled(self, given: Given) -> None:
        """A job whose models are warm in every region gets them everywhere: none has to end for another."""
        store, _ = given
        for region in ("us", "eu", "asia"):
            ticket, token = turn(store, "a", region)
            assert store.leave(ticket, token, part(), {"p1": 1, "p2": 1, "p3": 1})
        tickets = {region: enter(store, "b", region) for region in ("us", "eu", "asia")}
        for region in ("asia", "eu", "us"):
            assert granted(store, tickets[region], "b")

    def test_what_can_never_be_granted_is_refused(self, given: Given) -> None:
        """A request for more GPUs than a region has is refused at once, with the figures."""
        store, _ = given
        answer = store.enter(request("a", pools={"p": 4}))
        assert answer == Refused("region us has 3 GPUs, and the job needs 4 at once")

    def test_the_first_to_come_sets_the_caps(self, given: Given) -> None:
        """The caps are the workspace's: whoever comes later is told those that hold."""
        store, _ = given
        assert store.agree(Caps(gpus_total=6)) == Caps(gpus_total=6)
        assert store.agree(Caps(gpus_total=9)) == Caps(gpus_total=6)

    def test_caps_change_when_the_queue_is_empty(self, given: Given) -> None:
        """Caps are not changed under those who work by them."""
        store, _ = given
        store.agree(Caps())
        ticket, token = turn(store, "a")
        with pytest.raises(QueueError, match="1 tickets"):
            store.set_caps(Caps(gpus_total=4))
        assert store.leave(ticket, token, part(), {})
        store.set_caps(Caps(gpus_total=4))
        assert store.agree(Caps()) == Caps(gpus_total=4)


class TestUsers:
    """What each user may have."""

    def test_a_user_may_have_so_many_jobs_waiting(self, given: Given) -> None:
        """One more job than a user may have waiting gets no ticket yet; those of others do."""
        store, _ = given
        store.agree(Caps(jobs_waiting=1))
        turn(store, "a")
        enter(store, "b")
        answer = store.enter(request("c"))
        assert answer == NotYet("jobs of user 'ann' that wait: 1; allowed: 1")
        enter(store, "d", user="ben")
        enter(store, "b", "eu")

    def test_a_dead_job_of_the_user_is_named_wherever_it_worked(self, given: Given) -> None:
        """Who waits for a limit of its user is told of dead leases in every region: nobody else may pass there."""
        store, hands = given
        store.agree(Caps(jobs_running=1))
        dead, _ = turn(store, "a", "eu")
        hands.pass_by(31)
        answer = waiting(store, enter(store, "b", "us"), "b")
        assert answer.why is Why.USER
        assert answer.dead == (dead,)

    def test_a_user_may_have_so_many_jobs_running(self, given: Given) -> None:
        """Who has as many jobs running as allowed is passed over, and the grant tells whom it passed."""
        store, _ = given
        store.agree(Caps(jobs_running=1))
        first, token = turn(store, "a", "us")
        second = enter(store, "b", "eu")
        third = enter(store, "c", "eu", user="ben")
        assert waiting(store, second, "b").why is Why.USER
        assert granted(store, third, "c")
        assert [each.passed for each in store.log() if each.kind is LogKind.GRANTED] == [(), (second,)]
        assert store.leave(first, token, part(), {})

    @pytest.mark.parametrize("caps", [Caps(jobs_running=1), Caps(executions_per_hour=30)])
    def test_the_whole_queue_says_whom_a_limit_holds_back(self, given: Given, caps: Caps) -> None:
        """A snapshot names who is passed for a limit of its user and why, as a claim does, and nobody else."""
        store, _ = given
        store.agree(caps)
        turn(store, "a", "us")
        second = enter(store, "b", "eu")
        enter(store, "c", "eu", user="ben")
        held = {name: line.held for name, line in store.snapshot().regions.items()}
        assert held == {"us": {}, "eu": {second: waiting(store, second, "b").reason}}

    def test_a_job_runs_once_however_many_regions_it_has(self, given: Given) -> None:
        """A run that has its turn in one region is not held back in another by its own user's limit."""
        store, _ = given
        store.agree(Caps(jobs_running=1))
        turn(store, "a", "us")
        turn(store, "a", "eu")
        assert waiting(store, enter(store, "b", "asia"), "b").why is Why.USER

    def test_a_user_may_ask_so_many_executions_an_hour(self, given: Given) -> None:
        """Turns beyond a user's executions an hour wait until enough of the hour has passed."""
        store, hands = given
        store.agree(Caps(executions_per_hour=30))
        ticket, token = turn(store, "a")
        assert store.leave(ticket, token, part(), {})
        second = enter(store, "b")
        assert "within the hour: 24" in waiting(store, second, "b").reason
        for _ in range(200):
            hands.pass_by(20)
            store.renew("host:b")
        assert granted(store, second, "b")
        assert isinstance(store.enter(request("c", executions=31)), Refused)


def fail(store: Store, run: str, count: int, region: str = "us") -> None:
    """A turn in which so many executions fail for good, one a second."""
    failures = tuple(
        FailedExecution(
            run_id=run,
            execution=f"e{at}",
            region=region,
            model="m1",
            question="q",
            kind="model",
            message='no "execution": here',
            at=float(at),
        )
        for at in range(count)
    )
    ticket, token = turn(store, run, region)
    assert store.leave(ticket, token, part(HowEnded.FAILED, failed=count, failures=failures), {})


class TestLeases:
    """Turns whose holders die or stall."""

    def test_who_is_not_renewed_loses_the_place(self, given: Given) -> None:
        """A ticket that waits and is not renewed in time is gone, and the next one is served."""
        store, hands = given
        first, second = enter(store, "a"), enter(store, "b")
        hands.pass_by(20)
        assert [each.ticket for each in store.renew("host:b")] == [second]
        hands.pass_by(20)
        assert granted(store, second, "b")
        assert store.claim(first, "host:a") == Unknown()

    def test_a_dead_lease_keeps_its_gpus_until_it_is_reclaimed(self, given: Given) -> None:
        """A lease that ran out frees nothing: who waits is told of it, ends its calls, and then frees it."""
        store, hands = given
        first, token = turn(store, "a")
        assert store.note(first, token, placed=["fc-1", "fc-2"], ended=[])
        hands.pass_by(20)
        second = enter(store, "b")
        hands.pass_by(20)
        answer = waiting(store, second, "b")
        assert (answer.why, answer.dead) == (Why.TURN, (first,))
        left = store.reclaim(first, "host:b")
        assert left is not None
        assert (left.calls, left.pools) == (("fc-1", "fc-2"), {"p1": 1, "p2": 1, "p3": 1})
        assert waiting(store, second, "b").why is Why.TURN
        assert store.reclaimed(first, "host:b", {"p1": 1})
        assert granted(store, second, "b")
        assert store.snapshot().regions["us"].gpus == 3

    def test_a_stale_token_is_refused(self, given: Given) -> None:
        """From the moment that a lease is being reclaimed, nothing of its holder is taken any more."""
        store, hands = given
        ticket, token = turn(store, "a")
        hands.pass_by(31)
        assert store.reclaim(ticket, "host:b")
        assert store.renew("host:a") == ()
        assert not store.note(ticket, token, placed=["fc-9"])
        assert not store.hold(ticket, token, {"p1": 1})
        assert not store.leave(ticket, token, part(), {})
        assert store.claim(ticket, "host:a") == Unknown()

    def test_a_lease_that_was_late_is_renewed_if_nobody_minded(self, given: Given) -> None:
        """A machine that slept keeps its turn where nobody has begun to reclaim it."""
        store, hands = given
        ticket, token = turn(store, "a")
        hands.pass_by(100)
        assert [(each.ticket, each.token) for each in store.renew("host:a")] == [(ticket, token)]
        assert store.reclaim(ticket, "host:b") is None
        assert store.note(ticket, token, placed=["fc-1"])

    def test_the_duty_to_reclaim_passes_on(self, given: Given) -> None:
        """One process at a time reclaims a lease; if it dies itself, the next one does."""
        store, hands = given
        ticket, _ = turn(store, "a")
        hands.pass_by(31)
        assert store.reclaim(ticket, "host:b")
        assert store.reclaim(ticket, "host:c") is None
        assert store.reclaim(ticket, "host:b")
        hands.pass_by(31)
        assert store.reclaim(ticket, "host:c")
        assert not store.reclaimed(ticket, "host:b", {})
        assert store.reclaimed(ticket, "host:c", {})

    def test_the_duty_to_reclaim_is_no_turn(self, given: Given) -> None:
        """Who reclaims a dead lease, of the same run or a cancelled one, can only end it: its GPUs count on."""
        store, hands = given
        ticket, _ = turn(store, "a")
        hands.pass_by(31)
        assert store.reclaim(ticket, "host:a2")
        assert store.enter(request("a", holder="host:a2")) == NotYet(
            "what the run left behind has to end first", (ticket,)
        )
        assert store.cancel("a", None, "ben") == ("us",)
        assert store.claim(ticket, "host:a2") == Unknown("ben")
        assert store.snapshot().regions["us"].gpus == 3
        assert store.reclaimed(ticket, "host:a2", {})
        assert store.snapshot().regions == {}

    def test_a_live_lease_is_not_reclaimed(self, given: Given) -> None:
        """Neither a lease that is renewed nor a ticket that waits can be reclaimed."""
        store, _ = given
        ticket, _ = turn(store, "a")
        assert store.reclaim(ticket, "host:b") is None
        assert store.reclaim(enter(store, "b"), "host:c") is None
        assert store.reclaim(999, "host:c") is None

    def test_tokens_only_grow(self, given: Given) -> None:
        """Every turn has a higher token than all before it."""
        store, _ = given
        tokens = []
        for run in "abc":
            ticket, token = turn(store, run)
            tokens.append(token)
            assert store.leave(ticket, token, part(), {})
        assert tokens == sorted(set(tokens))

    def test_calls_are_kept_with_the_lease(self, given: Given) -> None:
        """The store knows a lease's calls in flight and what it is at, each as said last."""
        store, _ = given
        ticket, token = turn(store, "a")
        assert store.note(ticket, token, placed=["fc-1", "fc-2"], question="q1", working=["m1", "m2"])
        assert store.note(ticket, token, placed=["fc-3"], ended=["fc-1"])
        (lease,) = store.snapshot().regions["us"].active
        assert (lease.calls, lease.question, lease.working) == (("fc-2", "fc-3"), "q1", ("m1", "m2"))
        assert lease.state is TicketState.HOLDING

    def test_a_lease_may_change_its_pools(self, given: Given) -> None:
        """A lease that goes on to other models reserves its GPUs for their pools."""
        store, hands = given
        ticket, token = turn(store, "a")
        assert store.hold(ticket, token, {"x": 1, "y": 1, "z": 1})
        hands.pass_by(31)
        left = store.reclaim(ticket, "host:b")
        assert left is not None
        assert set(left.pools) == {"x", "y", "z"}

    def test_a_lease_holds_no_more_gpus_than_it_was_granted(self, given: Given) -> None:
        """Pools for more GPUs than the turn reserved are refused, and nothing changes; fewer are allowed."""
        store, _ = given
        ticket, token = turn(store, "a", pools={"p1": 2})
        with pytest.raises(QueueError, match="has 2 GPUs, and its pools would hold 3"):
            store.hold(ticket, token, {"x": 1, "y": 2})
        assert store.snapshot().regions["us"].active[0].pools == {"p1": 2}
        assert store.hold(ticket, token, {"x": 1})
        assert store.hold(ticket, token, {"x": 1, "y": 1})
        assert not store.hold(ticket, token + 1, {"x": 9})


class TestResuming:
    """Runs that come back in another process."""

    def test_a_resumed_run_takes_up_its_lease(self, given: Given) -> None:
        """A new process of the same run inherits its lease and calls with a new token; the old one is refused."""
        store, _ = given
        ticket, old = turn(store, "a")
        assert store.note(ticket, old, placed=["fc-1"])
        entrance = store.enter(request("a", holder="host:a2"))
        assert isinstance(entrance, Entered)
        assert entrance.ticket == ticket
        assert entrance.token > old
        assert not store.note(ticket, old, placed=["fc-2"])
        assert store.note(ticket, entrance.token, placed=["fc-3"])
        assert store.snapshot().regions["us"].active[0].calls == ("fc-1", "fc-3")

    def test_a_resumed_run_keeps_its_place(self, given: Given) -> None:
        """A new process of a run that waits stands where the old one stood."""
        store, _ = given
        turn(store, "a")
        ticket = enter(store, "b")
        enter(store, "c")
        assert enter(store, "b", holder="host:b2") == ticket
        assert waiting(store, ticket, "b2").position == 1

    def test_a_lease_too_small_is_reclaimed_first(self, given: Given) -> None:
        """A resumed run that needs more GPUs than its lease has gives that one up before it waits."""
        store, _ = given
        small, _ = turn(store, "a", pools={"p1": 1})
        answer = store.enter(request("a", holder="host:a2"))
        assert isinstance(answer, NotYet)
        assert answer.dead == (small,)
        assert store.reclaim(small, "host:a2")
        assert store.reclaimed(small, "host:a2", {})
        assert granted(store, enter(store, "a", holder="host:a2"), "a2")

    def test_a_run_that_loses_three_holders_is_set_aside(self, given: Given) -> None:
        """A run that lost three holders is refused in the region, the next one starts; a release lets it in."""
        store, _ = given
        ticket, _ = turn(store, "a", holder="host:a0")
        for number in (1, 2):
            assert enter(store, "a", holder=f"host:a{number}") == ticket
        answer = store.enter(request("a", holder="host:a3"))
        assert isinstance(answer, Refused)
        assert "beacon queue release a" in answer.reason
        assert store.set_aside() == {"a": ("us",)}
        next_run = enter(store, "b")
        assert waiting(store, next_run, "b").dead == (ticket,)
        assert store.reclaim(ticket, "host:b")
        assert store.reclaimed(ticket, "host:b", {})
        assert granted(store, next_run, "b")
        assert store.release("a")
        assert not store.release("a")
        assert store.set_aside() == {}
        assert isinstance(store.enter(request("a", holder="host:a4")), Entered)

    @pytest.mark.parametrize("how", ["said", "fewer left"])
    def test_progress_between_deaths_clears_the_count(self, given: Given, how: str) -> None:
        """Holders lost before an execution ended do not count; the death after it is the first again."""
        store, _ = given
        turn(store, "a", holder="host:a0", executions=24)
        for number in range(1, 9):
            left = 24 - number if how == "fewer left" else 24
            entrance = store.enter(request("a", holder=f"host:a{number}", executions=left))
            assert isinstance(entrance, Entered), entrance
            if how == "said":
                assert store.note(entrance.ticket, entrance.token, ended=["fc-1"], progressed=True)
        left = 15 if how == "fewer left" else 24
        for number in (9, 10):
            assert isinstance(store.enter(request("a", holder=f"host:a{number}", executions=left)), Entered)
        assert isinstance(store.enter(request("a", holder="host:a11", executions=left)), Refused)

    def test_an_attempt_that_ended_is_no_progress(self, given: Given) -> None:
        """Calls that ended without their execution leave the count as it is: they may be asked for ever."""
        store, _ = given
        turn(store, "a", holder="host:a0")
        for number in (1, 2):
            entrance = store.enter(request("a", holder=f"host:a{number}"))
            assert isinstance(entrance, Entered)
            assert store.note(entrance.ticket, entrance.token, placed=["fc-1"])
            assert store.note(entrance.ticket, entrance.token, ended=["fc-1"])
        assert isinstance(store.enter(request("a", holder="host:a3")), Refused)

    def test_a_holder_that_was_only_stopped_does_not_count(self, given: Given) -> None:
        """A process whose lease was reclaimed while it stood still, and that comes back, was not lost."""
        store, hands = given
        for _ in range(5):
            ticket, _token = turn(store, "a")
            hands.pass_by(31)
            assert store.reclaim(ticket, "host:b")
            assert store.reclaimed(ticket, "host:b", {})
            assert store.set_aside() == {}
        assert granted(store, enter(store, "a"), "a")

    def test_a_dead_holder_counts_once_it_is_reclaimed(self, given: Given) -> None:
        """Three processes whose leases others reclaimed, none of which came back, set their run aside."""
        store, hands = given
        for number in range(3):
            ticket, _ = turn(store, "a", holder=f"host:a{number}")
            hands.pass_by(31)
            assert store.reclaim(ticket, "host:b")
            assert store.reclaim(ticket, "host:b"), "the duty is asked for again"
            assert store.reclaimed(ticket, "host:b", {})
        assert store.set_aside() == {"a": ("us",)}

    def test_a_resume_that_could_not_start_does_not_count(self, given: Given) -> None:
        """A lease that is left as it was found can be reclaimed at once, and its holder was not lost."""
        store, _ = given
        ticket, token = turn(store, "a", holder="host:a0")
        assert store.note(ticket, token, placed=["fc-1"])
        for number in range(1, 6):
            entrance = store.enter(request("a", holder=f"host:a{number}"))
            assert isinstance(entrance, Entered)
            assert store.abandon(ticket, entrance.token)
            assert not store.abandon(ticket, token), "an old token"
        left = store.reclaim(ticket, "host:b")
        assert left is not None
        assert left.calls == ("fc-1",)
        assert not store.abandon(ticket, left.token)
        assert store.reclaimed(ticket, "host:b", {})
        assert store.release("a"), "the first one died"
        assert store.set_aside() == {}

    def test_a_turn_that_ends_well_clears_the_count(self, given: Given) -> None:
        """Holders lost before a turn that was given back do not count any more."""
        store, _ = given
        turn(store, "a")
        entrance = store.enter(request("a", holder="host:a1"))
        assert isinstance(entrance, Entered)
        assert store.leave(entrance.ticket, entrance.token, part(), {})
        assert not store.release("a")


class TestCancelling:
    """Runs that somebody ends."""

    def test_a_ticket_that_waits_leaves(self, given: Given) -> None:
        """A cancelled ticket is never granted; its holder learns who cancelled it, once."""
        store, _ = given
        first, token = turn(store, "a")
        second, third = enter(store, "b"), enter(store, "c")
        assert store.cancel("b", None, "ben@host") == ("us",)
        assert waiting(store, third, "c").position == 1
        assert store.leave(first, token, part(), {})
        assert store.claim(second, "host:b") == Unknown("ben@host")
        assert store.claim(second, "host:b") == Unknown()
        assert granted(store, third, "c")

    def test_a_lease_is_told_at_renewal(self, given: Given) -> None:
        """The holder of a cancelled lease learns it when it renews, and keeps the lease until it leaves."""
        store, _ = given
        tickets = {region: turn(store, "a", region) for region in ("us", "eu")}
        assert store.cancel("a", "eu", "ben@host") == ("eu",)
        orders = {each.region: each.cancelled_by for each in store.renew("host:a")}
        assert orders == {"us": "", "eu": "ben@host"}
        assert store.leave(*tickets["eu"], NOTHING, {})

    def test_a_holder_that_sleeps_through_its_cancellation_gets_no_other_turn(self, given: Given) -> None:
        """Its turn is being reclaimed as it wakes; who resumes the run is another process, and may."""
        store, hands = given
        ticket, _ = turn(store, "a")
        hands.pass_by(31)
        assert store.reclaim(ticket, "host:b")
        assert store.cancel("a", None, "ben") == ("us",)
        assert store.enter(request("a")) == Refused("cancelled by ben")
        assert store.enter(request("a", holder="host:a2")) == NotYet(
            "what the run left behind has to end first", (ticket,)
        )

    def test_a_waiting_holder_that_sleeps_is_told_on_waking(self, given: Given) -> None:
        """However long it slept, and though it renews before it claims; who resumes the run has a new place."""
        store, hands = given
        ticket = enter(store, "a")
        assert store.cancel("a", None, "ben") == ("us",)
        store.renew("host:a")
        hands.pass_by(6 * 86_400)
        enter(store, "b")
        assert store.enter(request("a")) == Entered(ticket)
        assert store.claim(ticket, "host:a") == Unknown("ben")
        assert store.claim(ticket, "host:a") == Unknown()
        ticket = enter(store, "a")
        store.cancel("a", None, "ben")
        resumed = enter(store, "a", holder="host:a2")
        assert resumed != ticket
        assert store.claim(ticket, "host:a") == Unknown()

    def test_who_is_cancelled_counts_no_more(self, given: Given) -> None:
        """Neither as a job of its user, nor as one for whom caps have to stay; a week later it is gone."""
        store, hands = given
        store.agree(Caps(jobs_waiting=1))
        enter(store, "a")
        assert isinstance(store.enter(request("b")), NotYet)
        store.cancel("a", None, "ben")
        ticket = enter(store, "b")
        assert store.leave(ticket, 0, NOTHING, {})
        store.set_caps(Caps(jobs_waiting=2))
        enter(store, "a")
        store.cancel("a", None, "ben")
        hands.pass_by(7 * 86_400 + 1)
        store.renew("host:b")
        assert [each.kind for each in store.log()][-2:] == [LogKind.CANCELLED, LogKind.EXPIRED]

    def test_there_is_nothing_to_cancel(self, given: Given) -> None:
        """A run that is not in the queue has no ticket to cancel."""
        store, _ = given
        assert store.cancel("zz", None, "ben") == ()


class TestRemembering:
    """What the store knows of the past."""

    @pytest.mark.parametrize("most", [0, 2, 4, 9])
    def test_the_first_who_wait_are_told_and_the_others_counted(self, given: Given, most: int) -> None:
        """A snapshot of some has the first of each region in order, and how many more there are that live."""
        store, hands = given
        turn(store, "a")
        for run in "bcdef":
            enter(store, run)
        enter(store, "g", "eu")
        store.cancel("d", None, "ben")
        hands.pass_by(25)
        for run in "abcdf":
            store.renew(f"host:{run}")
        hands.pass_by(10)
        whole, some = store.snapshot().regions, store.snapshot(most).regions
        assert [each.run_id for each in whole["us"].waiting] == ["b", "c", "f"]
        assert some["us"].waiting == whole["us"].waiting[:most]
        assert (some["us"].queue_size, some["us"].more) == (3, max(3 - most, 0))
        assert whole["us"].queue_size == 3
        assert some["us"].active == whole["us"].active
        assert sum(each.queue_size for each in some.values()) == 3

    def test_what_was_done_is_counted(self, given: Given) -> None:
        """Each region counts the parts that ended well and not, the executions, and how long turns took."""
        store, _ = given
        for run, how in [("a", HowEnded.COMPLETED), ("b", HowEnded.FAILED), ("c", HowEnded.CANCELLED)]:
            ticket, token = turn(store, run)
            assert store.leave(ticket, token, part(how, succeeded=20, failed=4), {})
        line = store.snapshot().regions["us"]
        assert (line.completed, line.failed) == (1, 1)
        assert (line.succeeded_executions, line.failed_executions) == (60, 12)
        assert [(each.executions, each.seconds) for each in line.services] == [(24, 60.0)] * 3

    def test_failed_executions_stay_until_they_are_asked_again(self, given: Given) -> None:
        """An execution that failed for good is listed until its run's next turn in the region says otherwise."""
        store, _ = given
        failure = FailedExecution(
            run_id="a", execution="e1", region="us", model="m1", question="q", kind="model", message="no", at=5.0
        )
        ticket, token = turn(store, "a")
        assert store.leave(ticket, token, part(HowEnded.FAILED, failed=1, failures=(failure,)), {})
        assert store.failures() == (failure,)
        ticket, token = turn(store, "a")
        assert store.leave(ticket, token, part(), {})
        assert store.failures() == ()

    def test_the_newest_failures_are_kept_by_whole_parts(self, given: Given) -> None:
        """Beyond the most that are kept, the part that was told longest ago is forgotten, with all of its own."""
        store, _ = given
        for run, count in [("a", 10), ("b", KEPT_FAILURES - 30), ("a", 11), ("c", 20)]:
            fail(store, run, count)
        assert Counter(each.run_id for each in store.failures()) == {"a": 11, "c": 20}
        fail(store, "d", KEPT_FAILURES + 5)
        found = store.failures()
        assert Counter(each.run_id for each in found) == {"d": KEPT_FAILURES}
        assert (found[0].at, found[-1].at) == (5.0, KEPT_FAILURES + 4.0)

    def test_a_run_reads_its_own_failures_alone(self, given: Given) -> None:
        """Of one run in one region, without those of others."""
        store, _ = given
        for run, region in [("a", "us"), ("a", "eu"), ("b", "us")]:
            fail(store, run, 1, region)
        assert [(each.run_id, each.region) for each in store.failures("a", "eu")] == [("a", "eu")]
        assert store.failures("b", "eu") == ()

    def test_failures_are_kept_word_for_word(self, given: Given) -> None:
        """What a model said of its failure, lone surrogates and controls included, does not stop a turn's end."""
        store, _ = given
        message = "no \ud800 \x1b[31m \u202e \x00 \\"
        failure = FailedExecution(
            run_id="a",
            execution="e1",
            region="us",
            model="m1",
            question="q",
            kind="model",
            message=message,
            at=5.0,
        )
        ticket, token = turn(store, "a")
        assert store.leave(ticket, token, part(HowEnded.FAILED, failed=1, failures=(failure,)), {})
        assert store.failures() == (failure,)

    def test_everything_is_told_in_the_log(self, given: Given) -> None:
        """The log has every change in order, with numbers that grow, and can be read from any of them on."""
        store, hands = given
        store.agree(Caps())
        ticket, token = turn(store, "a")
        assert store.hold(ticket, token, {"x": 1})
        assert store.leave(ticket, token, part(), {"x": 1})
        store.gone(store.snapshot().regions["us"].warm[0])
        ticket, token = turn(store, "b")
        hands.pass_by(31)
        assert store.reclaim(ticket, "host:c")
        assert store.reclaimed(ticket, "host:c", {})
        entries = list(store.log())
        kinds = "caps entered granted pools left warm_gone entered granted reclaiming reclaimed"
        assert " ".join(each.kind.value for each in entries) == kinds
        assert [each.seq for each in entries] == list(range(1, len(entries) + 1))
        assert list(store.log(since=8)) == entries[8:]

    def test_hostile_names_stay_what_they_are(self, given: Given) -> None:
        """Names with quotes, controls and any script come out as they went in."""
        store, _ = given
        name = "a'; DROP TABLE tickets; --\x1b[31m\u202e\"\\\n"
        turn(store, "a", user=name, job_id=name, models=(name,), pools={name: 1})
        (lease,) = store.snapshot().regions["us"].active
        assert (lease.user, lease.job_id, lease.models, lease.pools) == (name, name, (name,), {name: 1})
