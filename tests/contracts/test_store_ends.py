"""`ports.Store`, over all its adapters: what is cancelled, and what is remembered of turns."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.support.queueing import NOTHING, Given, enter, granted, part, request, turn, waiting

from beacon_cli.ports import Store
from beacon_cli.queues.tables import KEPT_FAILURES
from beacon_cli.tickets import (
    Caps,
    Entered,
    FailedExecution,
    HowEnded,
    LogKind,
    NotYet,
    Refused,
    Unknown,
)


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
