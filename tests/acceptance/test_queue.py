"""Several jobs at once, as several processes on one machine: the queue between them, and the provider's ledger."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.acceptance.conftest import BEACON, LIMIT, Beacon, Emulator
from tests.support.ledger import peaks

Record: TypeAlias = dict[str, Any]

_JOB = """\
id: {id}
regions: [{regions}]
models: [{models}]
questions:
{questions}
retry: {{attempts: 1}}
"""
RULES = {
    "rules": [
        {"effect": "hang", "question": "*hangs*"},
        {"effect": "slow", "question": "*slow*", "amount": 200.0},
    ]
}
MODELS = ("m1", "m2", "m3")


class Run:
    """A `beacon run` in a process of its own, whose events are read as they come."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.events: list[Record] = []
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, kind: str, holds: Callable[[Record], bool] = lambda _: True) -> Record:
        """Read on to the next event of this kind of which that holds."""
        for event in self._read():
            if event["event"] == kind and holds(event):
                return event
        pytest.fail(f"no {kind} in {self.events}; {self.process.stderr and self.process.stderr.read()}")

    def end(self) -> int:
        """Read on to the end; gives the exit code."""
        list(self._read())
        return self.process.wait(LIMIT)

    def of(self, kind: str) -> list[Record]:
        """The events of this kind so far."""
        return [event for event in self.events if event["event"] == kind]

    def _read(self) -> Iterator[Record]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            yield self.events[-1]


class Workspace:
    """An emulated workspace, and the beacons that share it."""

    def __init__(
        self, folder: Path, environment: dict[str, str], beacon: Beacon, variables: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._environment = {**environment, **variables}
        self._variables = variables
        self._beacon = beacon
        self.runs: list[Run] = []

    def job(
        self,
        name: str,
        *questions: str,
        models: tuple[str, ...] = MODELS,
        regions: str = "us",
    ) -> Path:
        """A job that asks these questions."""
        path = self._folder / f"{name}.yaml"
        lines = "\n".join(f'  - {{id: q{n}, text: "{text}"}}' for n, text in enumerate(questions))
        listed = ", ".join(f"{{id: {model}}}" for model in models)
        path.write_text(_JOB.format(id=name, regions=regions, models=listed, questions=lines))
        return path

    def start(self, job: Path, *options: str, command: str = "run") -> Run:
        """Begin a run, named as its job."""
        named = ["run", str(job), "--run-id", job.stem] if command == "run" else [command, job.stem]
        run = Run([str(BEACON), *named, "--json", "-q", *options], self._environment, self._folder)
        self.runs.append(run)
        return run

    def beacon(self, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Any other command."""
        return self._beacon(*arguments, **self._variables, **more)

    def results(self, run_id: str) -> bytes:
        """The rows of a run's results."""
        return (Path(self._environment["BEACON_HOME"]) / "runs" / run_id / "results.jsonl").read_bytes()

    def status(self, region: str = "us") -> Record:
        """What `queue-status` says of a region."""
        record: Record = json.loads(self.beacon("queue-status", "--json", "--region", region).stdout)
        return record

    @property
    def ledger(self) -> list[Record]:
        """What the provider has seen."""
        lines = (self._folder / "ledger.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    @property
    def open_calls(self) -> set[str]:
        """The calls that run at the provider."""
        ended = {record["call"] for record in self.ledger if record["event"] == "finished"}
        return {record["call"] for record in self.ledger if record["event"] == "placed"} - ended


@pytest.fixture
def workspace(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    environment: dict[str, str],
    beacon: Beacon,
    emulator: Emulator,
) -> Iterator[Workspace]:
    """One emulator, forty times faster than life: containers start in a second and stay warm for seven.

    A test may ask for another speed.
    """
    speed: str = getattr(request, "param", "40")
    script = tmp_path / "script.json"
    script.write_text(json.dumps(RULES))
    with emulator("--speed", speed, "--script", script, "--ledger", tmp_path / "ledger.jsonl") as variables:
        here = Workspace(tmp_path, environment, beacon, variables)
        try:
            yield here
        finally:
            for run in here.runs:
                run.process.kill()
                run.process.communicate()


@contextmanager
def held(workspace: Workspace) -> Iterator[Run]:
    """For the body, a run has its turn in `us`, and no answer comes."""
    run = workspace.start(workspace.job("holder", "It hangs?"))
    run.until("call_placed")
    yield run
    workspace.beacon("cancel", "holder")
    assert run.end() == 130


def test_the_second_job_waits_and_then_runs(workspace: Workspace) -> None:
    """Two jobs at once in one region: the second says its place, starts when the first has left, and all holds."""
    first = workspace.start(workspace.job("first", "Is it slow?", "Two?"))
    first.until("region_started")
    second = workspace.start(workspace.job("second", "One?"))
    waited = second.until("turn_awaited")
    assert (waited["region"], waited["position"]) == ("us", 1)
    shown = workspace.status()
    assert (shown["current_job"]["run_id"], [each["run_id"] for each in shown["waiting"]]) == ("first", ["second"])
    assert (shown["queue_size"], shown["processing"], shown["gpus"]["in_use"]) == (1, True, 3)
    assert (first.end(), second.end()) == (0, 0)
    (began,) = second.of("region_started")
    assert began["at"] > first.of("attempt_succeeded")[-1]["at"]
    assert peaks(workspace.ledger)["us"] == 3
    shown = workspace.status()
    assert (shown["completed"], shown["failed"], shown["executions"]["succeeded"]) == (2, 0, 9)
    checked = workspace.beacon("queue", "check")
    assert checked.returncode == 0, checked.stdout
    assert "caps, order and leases held" in checked.stdout


def test_a_run_is_cancelled_while_it_waits_and_while_it_works(workspace: Workspace) -> None:
    """From another terminal: who waits leaves; who works stops, its calls ended at the provider; 130 both."""
    first = workspace.start(workspace.job("first", "It hangs?"))
    first.until("call_placed")
    second = workspace.start(workspace.job("second", "One?"))
    second.until("turn_awaited")
    said = workspace.beacon("cancel", "sec", "--region", "US-EAST")
    assert (said.returncode, said.stdout) == (0, "run second in us: it waited at number 1, and leaves the queue\n")
    assert second.end() == 130
    assert not second.of("call_placed")
    said = workspace.beacon("cancel", "first", BEACON_USER="bob")
    assert "it has its turn, and stops as by Ctrl-C" in said.stdout
    assert first.end() == 130
    assert "cancelled by bob" in str(first.of("run_interrupted"))
    assert workspace.open_calls == set()
    assert workspace.beacon("runs").stdout.count("interrupted") == 2
    again = workspace.beacon("cancel", "first")
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    assert "beacon resume first" in again.stderr
    assert workspace.beacon("resume", "second", "-q").returncode == 0
    done = workspace.beacon("cancel", "second")
    assert (done.returncode, "it is finished" in done.stderr) == (2, True)


def test_a_paused_region_drains_and_goes_on(workspace: Workspace) -> None:
    """In a paused region nobody starts: a run waits and says so, or leaves with 5 if it may not wait."""
    assert "paused" in workspace.beacon("queue", "pause", "--region", "us").stdout
    job = workspace.job("patient", "One?", regions="us, eu")
    patient = workspace.start(job)
    assert "paused" in patient.until("turn_awaited", lambda event: event["region"] == "us")["reason"]
    hurried = workspace.beacon("run", workspace.job("hurried", "One?"), "--no-wait", "-q")
    assert (hurried.returncode, len(hurried.stderr.splitlines())) == (5, 1)
    assert "region us is paused" in hurried.stderr
    assert workspace.status()["paused"]
    assert [each["run_id"] for each in workspace.status()["waiting"]] == ["patient"]
    workspace.beacon("queue", "resume")
    assert patient.end() == 0
    assert not workspace.status()["paused"]


def test_the_higher_priority_is_served_first(workspace: Workspace) -> None:
    """Of two that wait, the one with the higher priority has its turn first, though it came later."""
    with held(workspace):
        low = workspace.start(workspace.job("low", "One?"), "--priority", "low")
        low.until("turn_awaited")
        high = workspace.start(workspace.job("high", "One?"), "--priority", "high")
        high.until("turn_awaited")
        assert [each["run_id"] for each in workspace.status()["waiting"]] == ["high", "low"]
    assert (high.end(), low.end()) == (0, 0)
    assert high.of("region_started")[0]["at"] < low.of("region_started")[0]["at"]
    assert workspace.beacon("queue", "check").returncode == 0


def test_other_caps_are_refused_with_the_difference(workspace: Workspace) -> None:
    """A process with other caps than the queue's is refused; once they are set there, the old ones are."""
    job = workspace.job("small", "One?", models=("m1",))
    assert workspace.beacon("run", job, "-q").returncode == 0
    refused = workspace.beacon("run", job, "-q", BEACON_GPUS_TOTAL="6")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (5, 1)
    assert "gpus_total is 10 there and 6 here" in refused.stderr
    assert "differs" in workspace.beacon("queue", "caps", BEACON_GPUS_TOTAL="6").stdout
    with held(workspace):
        busy = workspace.beacon("queue", "caps", "--set", BEACON_GPUS_TOTAL="6")
        assert (busy.returncode, "change its caps when it is empty" in busy.stderr) == (5, True)
    assert workspace.beacon("queue", "caps", "--set", BEACON_GPUS_TOTAL="6").returncode == 0
    assert workspace.beacon("run", job, "-q", BEACON_GPUS_TOTAL="6").returncode == 0
    assert workspace.beacon("run", job, "-q").returncode == 5


@pytest.mark.parametrize("workspace", ["10"], indirect=True)
def test_idle_containers_of_other_models_are_gone_before_the_next_start(workspace: Workspace) -> None:
    """Three models, then three others: the first ones' warm containers are ended first; never over three."""
    assert workspace.beacon("run", workspace.job("first", "One?"), "-q").returncode == 0
    assert workspace.status()["gpus"] == {"in_use": 3, "idle": 3, "limit": 3}
    job = workspace.job("second", "One?", models=("n1", "n2", "n3"))
    assert workspace.beacon("run", job, "-q").returncode == 0
    assert peaks(workspace.ledger)["us"] == 3
    events = [record["event"] for record in workspace.ledger]
    assert events.count("container_up") == 6
    assert events.count("scaled") >= 3, "they were cooled, and not only waited for"


def test_more_models_than_gpus_run_in_groups(workspace: Workspace) -> None:
    """Five models in a region of three GPUs: every question is answered, and never more than three live."""
    job = workspace.job("many", "One?", "Two?", models=("m1", "m2", "m3", "m4", "m5"))
    assert workspace.beacon("run", job, "-q").returncode == 0
    assert peaks(workspace.ledger)["us"] == 3
    assert workspace.status()["executions"] == {"succeeded": 10, "failed": 0}


def test_each_repeat_has_containers_of_its_own(workspace: Workspace) -> None:
    """With `design.container_starts` the answers of a repeat come from containers that no other repeat had."""
    job = workspace.job("starts", "One?", "Two?")
    job.write_text(job.read_text() + "design: {container_starts: 3}\n")
    assert workspace.beacon("run", job, "--run-id", "starts", "-q").returncode == 0
    rows = [json.loads(row) for row in workspace.results("starts").splitlines()]
    starts = {(row["model"], row["repeat"], row["container"]) for row in rows}
    assert len(rows) == 2 * 3 * len(MODELS)
    assert len({container for _, _, container in starts}) == len(starts) == 3 * len(MODELS)
    assert peaks(workspace.ledger)["us"] == 3


def test_a_killed_run_takes_up_its_lease_and_its_calls(workspace: Workspace) -> None:
    """After kill -9 a resumed run has its turn at once, waits for the calls under way, and asks nothing twice."""
    job = workspace.job("killed", "Is it slow?")
    run = workspace.start(job)
    run.until("region_started")
    for _ in MODELS:
        run.until("call_placed")
    run.process.send_signal(signal.SIGKILL)
    run.end()
    resumed = workspace.start(job, command="resume")
    assert resumed.end() == 0
    assert not resumed.of("turn_awaited")
    assert len(resumed.of("call_reattached")) == 3
    placed = [record["execution"] for record in workspace.ledger if record["event"] == "placed"]
    assert len(placed) == len(set(placed)) == 3
    assert workspace.beacon("queue", "check").returncode == 0


def test_what_a_killed_run_left_is_ended_before_the_next_works(workspace: Workspace) -> None:
    """A run that is killed and never resumed: another waits out its lease, ends its calls, then works; 3 GPUs."""
    caps = "[caps]\nlease_seconds = 2\n"
    job = workspace.job("killed", "It hangs?")
    (job.parent / "beacon.toml").write_text(caps)
    run = workspace.start(job)
    for _ in MODELS:
        run.until("call_placed")
    run.process.send_signal(signal.SIGKILL)
    run.end()
    began = time.monotonic()
    following = workspace.start(workspace.job("next", "One?", models=("n1", "n2", "n3")))
    assert following.end() == 0
    assert time.monotonic() - began < 30
    assert workspace.open_calls == set()
    assert peaks(workspace.ledger)["us"] == 3
    assert workspace.beacon("queue", "check").returncode == 0


def test_reaping_ends_what_a_dead_turn_left(workspace: Workspace) -> None:
    """`beacon reap` ends the calls of a killed run and gives its turn back, though no other run waits for it."""
    job = workspace.job("killed", "It hangs?")
    (job.parent / "beacon.toml").write_text("[caps]\nlease_seconds = 1\n")
    run = workspace.start(job)
    for _ in MODELS:
        run.until("call_placed")
    run.process.send_signal(signal.SIGKILL)
    run.end()
    time.sleep(1.5)  # nobody is dead before the lease has ended
    assert "its turn in us, which no process renews, with 3 calls" in workspace.beacon("reap", "--dry-run").stdout
    reaped = workspace.beacon("reap")
    assert "its turn in us is over" in reaped.stdout, reaped.stderr
    assert workspace.open_calls == set()
    assert (workspace.status()["processing"], workspace.status()["reclaiming"]) == (False, [])
    assert "no run has left" in workspace.beacon("reap").stdout


def test_one_question_is_asked_through_the_queue(workspace: Workspace) -> None:
    """`beacon ask` prints the answer alone; it waits for its turn as a run does, and is kept as one."""
    asked = workspace.beacon("ask", "What is 2+2?", "--model", "m1", "--region", "eu-west", "--temperature", "0.5")
    assert (asked.returncode, asked.stdout) == (0, "[rehearsal] 4, since two and two make four.\n")
    assert workspace.status("eu")["executions"] == {"succeeded": 1, "failed": 0}
    workspace.beacon("queue", "pause", "--region", "eu")
    refused = workspace.beacon("ask", "Two?", "--model", "m1", "--region", "eu", "--no-wait")
    assert (refused.returncode, refused.stdout) == (5, "")
    row = json.loads(workspace.beacon("ask", "Two?", "--model", "m1", "--region", "us", "--json", "-q").stdout)
    assert (row["region"], row["model"], row["status"]) == ("us", "m1", "succeeded")
    assert json.loads(workspace.beacon("show", "--json").stdout) == row
    for wrong, said in (
        (("--model", "m1", "--region", "moon"), "unknown region 'moon'"),
        (("--model", "m1", "--region", "us", "--temperature", "7"), "--temperature"),
        (("--model", "m9", "--region", "us", "--job", str(workspace.job("j", "One?"))), "no model 'm9'"),
    ):
        found = workspace.beacon("ask", "Two?", *wrong)
        assert (found.returncode, said in found.stderr) == (2, True), found.stderr


def test_looking_makes_no_queue(beacon: Beacon, tmp_path: Path) -> None:
    """Before the first run everything about the queue is answered, and nothing is made on disk."""
    empty = beacon("queue-status", "--json")
    assert empty.returncode == 0
    assert list(json.loads(empty.stdout)["queues"]) == ["US", "EU", "ASIA"]
    for command in (("queue-status",), ("queue", "failed"), ("queue", "caps"), ("queue", "check")):
        assert beacon(*command).returncode == 0
    assert beacon("cancel", "r1").returncode == 2
    assert beacon("queue", "release", "r1").returncode == 2
    unknown = beacon("queue-status", "--region", "moon")
    assert (unknown.returncode, "known: us, eu, asia" in unknown.stderr) == (2, True)
    assert not (tmp_path / "state").exists()


def test_a_watch_leaves_the_terminal_clean(environment: dict[str, str], tmp_path: Path) -> None:
    """The queue is drawn again over itself; Ctrl-C is how a watch ends: code 0, the cursor back, no traceback."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(BEACON), "queue-status", "--watch"],
        env={**environment, "TERM": "xterm", "LINES": "24"},
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        drawn = b""
        while drawn.count(b"GPUs in use") < 2:
            drawn += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0
    assert b"Traceback" not in drawn
    assert drawn.count(b"\x1b[?25h") == drawn.count(b"\x1b[?25l") >= 2
    assert drawn.rindex(b"\x1b[?25h") > drawn.rindex(b"\x1b[?25l")
    os.close(ours)


def test_a_watch_needs_a_terminal(beacon: Beacon) -> None:
    """Into a pipe nothing is watched, and one line says what to do."""
    for options in ((), ("--json",)):
        found = beacon("queue-status", "--watch", *options)
        assert (found.returncode, len(found.stderr.splitlines())) == (2, 1)
