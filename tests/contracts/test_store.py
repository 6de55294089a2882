"""`ports.Store`, over all its adapters: who is served when, and how many at once."""

from __future__ import annotations

import pytest
from tests.support.queueing import Given, enter, granted, part, request, turn, waiting

from beacon_cli.errors import QueueError
from beacon_cli.tickets import (
    Caps,
    Entered,
    Granted,
    LogKind,
    NotYet,
    Priority,
    Refused,
    Why,
)


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
