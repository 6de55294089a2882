"""The life of containers: a state machine of calls, cancellations and time keeps what a workspace promises."""

from __future__ import annotations

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from beacon_cli.behaviour.fleet import (
    Booted,
    Ended,
    Finished,
    Fleet,
    Gone,
    Happening,
    PoolStats,
    Preempted,
    Scaling,
    Started,
    Work,
)

GPUS = 2
POOLS = ("us/a", "us/b", "asia/a")


def fleet(boot: float = 30.0, gpus: int = 10, scaling: Scaling | None = None) -> Fleet:
    """A fleet in which every container takes `boot` seconds to start."""
    return Fleet(lambda _pool, _nth: boot, gpus=gpus, scaling=scaling)


def run_out(of: Fleet, until: float = inf) -> list[Happening]:
    """Everything that happens by itself until `until`."""
    told: list[Happening] = []
    due = of.next_at()
    while due is not None and due <= until:
        told += of.advance(due)
        due = of.next_at()
    return told


def test_the_first_input_waits_for_a_cold_start_and_the_next_does_not() -> None:
    """A pool starts cold, serves its line with one container, and is warm for whoever comes within the window."""
    subject = fleet()
    subject.submit("p", "first", Work(seconds=4), 0)
    subject.submit("p", "second", Work(seconds=4), 1)
    told = run_out(subject, 40)
    told += subject.submit("p", "third", Work(seconds=4), 100)
    started = {event.input: event for event in told if isinstance(event, Started)}
    assert [(event.at, event.cold) for event in started.values()] == [(30, True), (34, False), (100, False)]
    assert len({event.container for event in started.values()}) == 1


def test_an_idle_container_goes_after_its_window_and_the_next_start_is_cold() -> None:
    """The scaledown window ends an idle container to the second, and frees its GPU."""
    subject = fleet()
    subject.submit("p", "first", Work(seconds=4), 0)
    gone = [event for event in run_out(subject) if isinstance(event, Gone)]
    assert [(event.at, event.reason) for event in gone] == [(154, "idle")]
    assert subject.gpus_used == 0
    subject.submit("p", "second", Work(seconds=4), 200)
    assert [event.cold for event in run_out(subject) if isinstance(event, Started)] == [True]


def test_an_idle_container_holds_its_gpu_against_another_pool() -> None:
    """With all GPUs held, a cold start waits until an idle container's window ends."""
    subject = fleet(gpus=1)
    subject.submit("p", "first", Work(seconds=4), 0)
    subject.submit("q", "second", Work(seconds=4), 1)
    booted = [event for event in run_out(subject, 400) if isinstance(event, Booted)]
    assert [(event.at, event.pool) for event in booted] == [(154, "q")]


def test_a_late_driver_changes_nothing() -> None:
    """Events happen at their own time, however late `advance` is called."""
    prompt, late = fleet(), fleet()
    for subject in (prompt, late):
        subject.submit("p", "first", Work(seconds=4), 0)
        subject.submit("p", "second", Work(seconds=5), 0)
    assert run_out(prompt, 1000) == late.advance(1000)


def test_cancelling_waits_frees_and_terminates() -> None:
    """A waiting input leaves the line, a running one frees its container, a terminated one takes it along."""
    subject = fleet(boot=1)
    for name in ("a", "b", "c"):
        subject.submit("p", name, Work(seconds=100), 0)
    subject.advance(1)
    assert subject.cancel("b", 2) == [Finished(2, "b", None, Ended.CANCELLED)]
    ended, started = subject.cancel("a", 3)
    assert isinstance(ended, Finished)
    assert isinstance(started, Started)
    assert (started.input, started.cold) == ("c", False)
    ended, gone = subject.cancel("c", 4, terminate=True)
    assert isinstance(gone, Gone)
    assert subject.stats("p") == PoolStats(backlog=0, containers=0, running=0)
    assert subject.cancel("c", 5) == []


def test_the_end_that_was_due_does_not_befall_the_successor() -> None:
    """After a cancellation the next input on the container runs for its own time, not for what was left."""
    subject = fleet(boot=0)
    subject.submit("p", "a", Work(seconds=10), 0)
    subject.submit("p", "b", Work(seconds=10), 0)
    subject.advance(0)
    subject.cancel("a", 5)
    assert [event.at for event in run_out(subject, 50) if isinstance(event, Finished)] == [15]


def test_a_stubborn_input_yields_only_with_its_container() -> None:
    """A gentle cancellation of a stubborn input does nothing; termination ends it."""
    subject = fleet(boot=0)
    subject.submit("p", "a", Work(seconds=inf, stubborn=True), 0)
    subject.advance(0)
    assert subject.cancel("a", 1) == []
    assert any(isinstance(event, Finished) for event in subject.cancel("a", 2, terminate=True))


def test_a_preempted_input_is_first_in_line_again() -> None:
    """Preemption takes the container away once; the same input starts again, before those behind it."""
    subject = fleet(boot=10)
    subject.submit("p", "a", Work(seconds=5, preempt_after=2), 0)
    subject.submit("p", "b", Work(seconds=5), 0)
    told = run_out(subject, 60)
    assert [event.at for event in told if isinstance(event, Preempted)] == [12]
    assert [(event.input, event.at) for event in told if isinstance(event, Started)] == [
        ("a", 10),
        ("a", 22),
        ("b", 27),
    ]


def test_crashes_and_timeouts_take_the_container_down() -> None:
    """An input that crashes or runs out of time ends with its container; the next one starts cold."""
    subject = fleet(boot=10)
    subject.submit("p", "a", Work(seconds=5, crash=True), 0)
    subject.submit("p", "b", Work(seconds=inf, timeout=7), 0)
    told = run_out(subject, 60)
    assert [(event.input, event.at, event.how) for event in told if isinstance(event, Finished)] == [
        ("a", 15, Ended.CRASHED),
        ("b", 32, Ended.TIMED_OUT),
    ]
    assert subject.gpus_used == 0


def test_a_minimum_is_started_ahead_and_kept() -> None:
    """`min_containers` boots without demand, gives a warm start, and outlives the window until it is lowered."""
    subject = fleet()
    subject.scale("p", Scaling(min_containers=1), 0)
    run_out(subject, 1000)
    assert subject.stats("p").containers == 1
    told = subject.submit("p", "a", Work(seconds=1), 1000)
    assert [event.cold for event in told if isinstance(event, Started)] == [False]
    subject.scale("p", Scaling(), 1010)
    assert [event.at for event in run_out(subject) if isinstance(event, Gone)] == [1121]


def test_a_shorter_window_holds_for_containers_that_are_idle_already() -> None:
    """An idle container goes when the new window, from when it fell idle, is over; at once if that is past."""
    for scaled_at, gone_at in [(35, 36), (50, 50)]:
        subject = fleet()
        subject.submit("p", "a", Work(seconds=4), 0)
        run_out(subject, scaled_at)
        told = subject.scale("p", Scaling(scaledown_window=2), scaled_at) + run_out(subject)
        assert [(event.at, event.reason) for event in told if isinstance(event, Gone)] == [(gone_at, "idle")]


def test_a_shorter_window_leaves_what_runs_alone_and_takes_it_when_it_ends() -> None:
    """What runs or starts goes on; once it is done, its container goes after the new window."""
    for scaled_at in (10, 32):
        subject = fleet()
        subject.submit("p", "a", Work(seconds=4), 0)
        run_out(subject, scaled_at)
        told = subject.scale("p", Scaling(scaledown_window=2), scaled_at) + run_out(subject)
        assert [event.at for event in told if isinstance(event, Finished | Gone)] == [34, 36]


class Workspace(RuleBasedStateMachine):
    """Submits, cancels and waits at will, and keeps its own account of what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(lambda pool, nth: len(pool) / 10 + nth % 2, gpus=GPUS)
        self.now = 0.0
        self.count = 0
        self.open: dict[str, str] = {}
        self.lines: dict[str, list[str]] = {pool: [] for pool in POOLS}
        self.works: dict[str, Work] = {}
        self.started: dict[str, float] = {}
        self.running: dict[str, str] = {}
        self.containers: dict[str, str] = {}
        self.latest = 0.0
        self.maximum = dict.fromkeys(POOLS, 1)

    @rule(
        pool=st.sampled_from(POOLS),
        seconds=st.sampled_from([4.0, 0.0, inf]),
        timeout=st.sampled_from([9.0, 50.0]),
        crash=st.booleans(),
        preempt=st.sampled_from([None, None, 1.0]),
        stubborn=st.booleans(),
    )
    def submit(
        self, *, pool: str, seconds: float, timeout: float, crash: bool, preempt: float | None, stubborn: bool
    ) -> None:
        """A new input comes."""
        self.count += 1
        name = f"in-{self.count}"
        self.open[name] = pool
        self.lines[pool].append(name)
        work = Work(seconds=seconds, timeout=timeout, crash=crash, preempt_after=preempt, stubborn=stubborn)
        self.works[name] = work
        self.take(self.fleet.submit(pool, name, work, self.now))

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 2.0, 60.0, 130.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by, and the driver is late."""
        self.now += seconds
        self.take(self.fleet.advance(self.now))

    @rule(pick=st.integers(0, 10**6), terminate=st.booleans())
    def cancel_one_that_runs(self, pick: int, terminate: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        """Somebody cancels an input that has a container, and whose own end is not due at this very moment."""
        self.take(self.fleet.advance(self.now))
        if self.running:
            name = sorted(self.running.values())[pick % len(self.running)]
            self.take(self.fleet.cancel(name, self.now, terminate=terminate))
            assert (name in self.open) is (self.works[name].stubborn and not terminate)

    @rule(pick=st.integers(0, 10**6), terminate=st.booleans())
    def cancel(self, pick: int, terminate: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        """Somebody cancels an input, perhaps one that has ended."""
        if self.count:
            self.take(self.fleet.cancel(f"in-{pick % self.count + 1}", self.now, terminate=terminate))

    @rule(pool=st.sampled_from(POOLS), minimum=st.integers(0, 2), maximum=st.integers(1, 3))
    def scale(self, pool: str, minimum: int, maximum: int) -> None:
        """Somebody changes a pool's scaling."""
        self.take(self.fleet.advance(self.now))
        self.maximum[pool] = maximum
        self.take(self.fleet.scale(pool, Scaling(min_containers=minimum, max_containers=maximum), self.now))

    def take(self, told: list[Happening]) -> None:
        """Book what happened, and hold each event against the account so far."""
        for event in told:
            assert self.latest <= event.at <= self.now
            self.latest = event.at
            match event:
                case Booted(container=container, pool=pool):
                    self.containers[container] = pool
                    assert len(self.containers) <= GPUS
                    assert list(self.containers.values()).count(pool) <= self.maximum[pool]
                case Started(input=name, container=container):
                    assert self.lines[self.open[name]].pop(0) == name
                    assert self.containers[container] == self.open[name]
                    assert container not in self.running
                    self.running[container] = name
                    self.started[name] = event.at
                case Preempted(input=name, container=container):
                    assert self.running.pop(container) == name
                    self.lines[self.open[name]].insert(0, name)
                case Finished(input=name, container=held, how=how):
                    pool = self.open.pop(name)
                    if held is None:
                        assert how is Ended.CANCELLED
                        self.lines[pool].remove(name)
                    else:
                        assert self.running.pop(held) == name
                        work, took = self.works[name], event.at - self.started[name]
                        due = {
                            Ended.CANCELLED: took,
                            Ended.TIMED_OUT: work.timeout,
                            Ended.CRASHED: work.seconds,
                            Ended.DONE: work.seconds,
                        }
                        assert abs(took - due[how]) < 1e-6
                case Gone(container=container):
                    assert container not in self.running
                    del self.containers[container]

    @invariant()
    def the_books_agree(self) -> None:
        """No GPU is held twice or lost, and what the fleet counts is what it told."""
        assert self.fleet.gpus_used == len(self.containers) <= GPUS
        for pool in POOLS:
            stats = self.fleet.stats(pool)
            assert stats.backlog == len(self.lines[pool])
            assert stats.containers == sum(where == pool for where in self.containers.values())
            assert stats.running == sum(self.open[name] == pool for name in self.running.values())

    def teardown(self) -> None:
        """No input is lost: with nobody holding GPUs idle for ever, all that wait come to an end."""
        for pool in POOLS:
            self.take(self.fleet.advance(self.now))
            self.maximum[pool] = 1
            self.take(self.fleet.scale(pool, Scaling(), self.now))
        for _ in range(20 * (self.count + 5)):
            due = self.fleet.next_at()
            if due is None:
                break
            self.now = max(self.now, due)
            self.take(self.fleet.advance(self.now))
        assert self.open == {}
        assert self.fleet.gpus_used == 0


Workspace.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWorkspace = Workspace.TestCase


def test_a_container_that_takes_several_inputs_answers_them_at_once() -> None:
    """With `concurrent: 3` three inputs share a container and none is slowed; the fourth has one of its own."""
    subject = fleet(scaling=Scaling(concurrent=3, max_containers=2))
    for name in ("a", "b", "c", "d"):
        subject.submit("p", name, Work(seconds=4), 0)
    assert subject.stats("p") == PoolStats(backlog=4, containers=2, running=0)
    ended = [(event.input, event.at) for event in run_out(subject) if isinstance(event, Finished)]
    assert ended == [(name, 34) for name in ("a", "b", "c", "d")]


def test_inputs_beside_one_that_takes_their_container_down_are_started_again() -> None:
    """A crash ends its own input; the others of the container go first in line and end in another container."""
    subject = fleet(scaling=Scaling(concurrent=2))
    subject.submit("p", "bad", Work(seconds=2, crash=True), 0)
    subject.submit("p", "good", Work(seconds=5), 0)
    told = run_out(subject)
    assert [event.input for event in told if isinstance(event, Preempted)] == ["good"]
    ended = {event.input: (event.how, event.at) for event in told if isinstance(event, Finished)}
    assert ended == {"bad": (Ended.CRASHED, 32), "good": (Ended.DONE, 67)}
