"""`ports.Store`, over all its adapters: turns whose holders die, stall or come back."""

from __future__ import annotations

import pytest
from tests.support.queueing import Given, enter, granted, part, request, turn, waiting

from beacon_cli.errors import QueueError
from beacon_cli.tickets import (
    Entered,
    NotYet,
    Refused,
    TicketState,
    Unknown,
    Why,
)


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
