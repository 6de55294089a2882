"""Breaking beacon from outside: a provider in a process of its own, beacon as a real process, signals between.

The provider's ledger says what really happened. What beacon says of itself is read from the journal's lines as
they stand, without beacon's own reader.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from tests.support.forks import Forked, Nursery

Record: TypeAlias = dict[str, Any]
Process: TypeAlias = subprocess.Popen[str] | Forked
Told: TypeAlias = Callable[..., None]
"""Adds to the table of figures: the name of the failure, then counts."""

PATIENCE = 60.0
"""Seconds after which something that was waited for is a failure."""
EXECUTIONS = 72

_JOB = """\
id: chaos
regions: [us, eu, asia]
models: [{models}]
questions:
{questions}
schedule: {schedule}
limits: {{{limits}}}
retry: {{{retry}}}
executor:
  modal:
    app: project-beacon-hf-{{region.app}}
    cls: Model
    parameters: {{model: "{{model.id}}"}}
    method: generate
    arguments: {{prompt: "{{prompt}}", execution_id: "{{execution.id}}", attempt: "{{attempt}}"{arguments}}}
"""


def seed() -> str:
    """What decides every draw; `BEACON_CHAOS_SEED` replays it."""
    return os.environ["BEACON_CHAOS_SEED"]


def count(reduced: int, full: int) -> int:
    """How often a random failure is tried; `BEACON_CHAOS=full` asks for the whole count."""
    return full if is_full() else reduced


def is_full() -> bool:
    """Whether the whole counts are asked for."""
    return os.environ.get("BEACON_CHAOS") == "full"


def draws(reduced: int, full: int) -> pytest.MarkDecorator:
    """Parametrise a test with `draw`, from 0 up to the count."""
    return pytest.mark.parametrize("draw", range(count(reduced, full)), ids="draw{}".format)


def dice(name: str, draw: int) -> random.Random:
    """The random numbers of one draw; the same for the same seed, name and draw."""
    return random.Random(f"{seed()}/{name}/{draw}")  # noqa: S311 - replayable, not secret


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Wait until something holds; gives the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.002)
    return time.monotonic() - began


def whole_records(path: Path) -> list[Record]:
    """The records of a file of JSON lines, without a last one that lacks its end."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


class Left(msgspec.Struct, frozen=True):
    """What a journal leaves open: call id by execution, and the executions with an intent and no id."""

    calls: dict[str, str]
    intents: frozenset[str]


def left(records: Iterable[Record]) -> Left:
    """Read from the records alone what was under way when they ended."""
    calls: dict[str, str] = {}
    intents: set[str] = set()
    for record in records:
        match record["event"]:
            case "attempt_started":
                intents.add(record["execution"])
            case "call_placed":
                intents.discard(record["execution"])
                calls[record["execution"]] = record["call_id"]
            case "attempt_succeeded" | "attempt_failed" | "attempt_cancelled":
                calls.pop(record["execution"], None)
                intents.discard(record["execution"])
            case "run_resumed":
                intents.clear()
    return Left(calls, frozenset(intents))


class Provider(msgspec.Struct, frozen=True):
    """An emulated workspace in a process of its own."""

    environment: dict[str, str]
    ledger: Path

    def records(self, executions: Iterable[str]) -> list[Record]:
        """What the ledger says of these executions."""
        wanted = frozenset(executions)
        return [record for record in whole_records(self.ledger) if record.get("execution") in wanted]

    def count(self, event: str, executions: Iterable[str]) -> int:
        """How many records of this kind there are for these executions."""
        return sum(record["event"] == event for record in self.records(executions))

    def placed(self, executions: Iterable[str]) -> Counter[str]:
        """How many calls of each execution the provider has taken."""
        return Counter(record["execution"] for record in self.records(executions) if record["event"] == "placed")

    def alive(self, executions: Iterable[str]) -> set[str]:
        """The calls of these executions that have not ended."""
        records = self.records(executions)
        ended = {record["call"] for record in records if record["event"] == "finished"}
        return {record["call"] for record in records if record["event"] == "placed"} - ended

    def done(self, executions: Iterable[str]) -> Counter[str]:
        """How many answers the provider has made for each execution."""
        return Counter(record["execution"] for record in self.records(executions) if record.get("how") == "done")


@contextmanager
def provider(folder: Path, rules: Iterable[Record], *, speed: float = 200.0) -> Iterator[Provider]:
    """Serve a workspace from a process of its own for the body."""
    script, ledger = folder / "script.json", folder / "ledger.jsonl"
    script.write_text(json.dumps({"rules": list(rules)}), encoding="ascii")
    command = [sys.executable, "-m", "beacon_cli", "emulator", "--speed", str(speed), "--gpus", "1000"]
    command += ["--ledger", str(ledger), "--script", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        exports = [process.stdout.readline() for _ in range(3)]
        names = dict(line.removeprefix("export ").strip().split("=", 1) for line in exports)
        try:
            yield Provider(names, ledger)
        finally:
            process.terminate()


class Ended(msgspec.Struct, frozen=True):
    """A process that has ended; `code` is what a shell would say."""

    code: int
    out: str
    err: str


class House:
    """A home for runs, a job, and beacon's processes against one provider."""

    def __init__(self, folder: Path, workspace: Provider, nursery: Nursery) -> None:
        self.folder = folder
        self._nursery = nursery
        self.provider = workspace
        self.home = folder / "home"
        self.job = folder / "job.yaml"
        self.environment = {**os.environ, **workspace.environment, "BEACON_HOME": str(self.home)}
        self._started: list[Process] = []

    def write_job(self, texts: Iterable[str], **changes: str) -> None:
        """Write the job: 3 regions, 3 models, these questions. Its executions are those of no other test."""
        unique = f"{self.folder.name} {random.getrandbits(64):x}"
        fields = {
            "models": "{id: llama3.2-1b}, {id: mistral-7b}, {id: qwen2.5-1.5b}",
            "schedule": "lockstep",
            "limits": "timeout: 10m",
            "retry": "attempts: 3, first: 100ms",
            "arguments": "",
            **changes,
        }
        questions = (f'  - {{id: q{n}, text: "{text} ({unique})"}}' for n, text in enumerate(texts))
        self.job.write_text(_JOB.format(questions="\n".join(questions), **fields), encoding="utf-8")

    def journal(self, run_id: str) -> Path:
        """The journal of a run."""
        return self.home / "runs" / run_id / "events.jsonl"

    def records(self, run_id: str) -> list[Record]:
        """The whole records of a run's journal."""
        return whole_records(self.journal(run_id))

    def results(self, run_id: str) -> list[Record]:
        """The rows of a run's results."""
        return whole_records(self.home / "runs" / run_id / "results.jsonl")

    def executions(self, run_id: str) -> set[str]:
        """The executions that have begun in a run."""
        return {record["execution"] for record in self.records(run_id) if record["event"] == "attempt_started"}

    def start(self, *arguments: str) -> Forked:
        """Start beacon where its imports are done already."""
        process = self._nursery.start(list(arguments), self.environment, self.folder)
        self._started.append(process)
        return process

    def start_anew(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start beacon from nothing; both of its outputs are piped unless `options` say otherwise."""
        process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "beacon_cli", *arguments],
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "env": self.environment,
                "cwd": self.folder,
                "preexec_fn": _hears_hangups,
                **options,
            },
        )
        self._started.append(process)
        return process

    def beacon(self, *arguments: str, **options: Any) -> Ended:
        """Run beacon to its end; with `options`, from nothing."""
        return ended(self.start_anew(*arguments, **options) if options else self.start(*arguments))

    def close(self) -> None:
        """End whatever still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _hears_hangups() -> None:
    """Whatever started the tests: under `nohup` beacon would ignore SIGHUP, as it should."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def ended(process: Process, seconds: float = PATIENCE) -> Ended:
    """Wait until a process has ended. Whatever it was, it may show no traceback."""
    out, err = process.communicate(timeout=seconds)
    assert "Traceback" not in (err or ""), err
    assert "Exception" not in (err or ""), err
    code = process.returncode
    assert code is not None
    return Ended(128 - code if code < 0 else code, out or "", err or "")


def at_size(process: Process, path: Path, size: int) -> bool:
    """Wait until a file has so many bytes; False: the process ended before."""
    while process.poll() is None:
        try:
            if path.stat().st_size >= size:
                return True
        except FileNotFoundError:
            pass
        time.sleep(0.001)
    return False


def catches(process: Process, number: int) -> bool:
    """Whether the process catches this signal (Linux alone tells)."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def stop(process: Process, number: int = signal.SIGKILL) -> None:
    """Send a signal; one that has just ended is no error."""
    if process.poll() is None:
        process.send_signal(number)
