"""Several runs that want the same GPUs: their jobs, their processes, the queue's store, the provider's ledger.

Whatever a test does to them, `verify` holds what came of it against the ledger and the queue's log.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.chaos import Ended, Process, Record, ended, until, whole_records
from tests.support.emulated import REGIONS, Emulated
from tests.support.forks import Forked, Nursery

from beacon_cli import queue_check, wiring
from beacon_cli.ports import Store
from beacon_cli.settings import Settings
from beacon_cli.tickets import Snapshot, TicketState

GPUS_PER_REGION, GPUS_TOTAL = 3, 10

_JOB = """\
id: {name}
regions: [{regions}]
models: [{models}]
questions:
{questions}
schedule: {schedule}
limits: {{{limits}}}
retry: {{attempts: 3, first: 50ms}}
executor:
  modal:
    app: project-beacon-hf-{{region.app}}
    cls: Model
    parameters: {{model: "{{model.id}}"}}
    method: generate
    arguments: {{prompt: "{{prompt}}", execution_id: "{{execution.id}}", attempt: "{{attempt}}"}}
"""


class Contest:
    """A home with one queue, whose leases last `lease` seconds; `queue` is its address if it is no file."""

    def __init__(
        self, folder: Path, workspace: Emulated, nursery: Nursery, *, lease: float = 1.0, queue: str = ""
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.lease = lease
        self.environment = {
            **os.environ,
            **workspace.environment,
            "BEACON_HOME": str(self.home),
            **({"BEACON_QUEUE": queue} if queue else {}),
        }
        self.processes: dict[str, Process] = {}
        self._nursery = nursery
        self._queue = queue
        self.planned: dict[str, int] = {}
        """How many executions each job has, by its name."""
        until(lambda: _is_quiet(workspace), "the last test's containers end")
        self.book = workspace.book()
        self.folder.mkdir(exist_ok=True)
        self.configure()
        self._store: Store | None = None

    def configure(self, **caps: float) -> None:
        """Write `beacon.toml`: five regions, short leases, and these caps."""
        tables = [f'[regions.{name}]\napp = "{app}"\n' for name, app in REGIONS.items()]
        lines = "".join(
            f"{name} = {value}\n"
            for name, value in {"lease_seconds": self.lease, "quarantine_seconds": 1, **caps}.items()
        )
        (self.folder / "beacon.toml").write_text(f"{''.join(tables)}[caps]\n{lines}", encoding="utf-8")

    def job(
        self,
        name: str,
        texts: Iterable[str] = ("Why?",) * 6,
        *,
        regions: Iterable[str] = ("us", "eu", "asia"),
        models: Iterable[str] = ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b"),
        schedule: str = "lockstep",
        limits: str = "timeout: 10m",
    ) -> None:
        """Write a job of this name. Its executions are those of no other."""
        unique = f"{random.getrandbits(64):x}"
        texts, regions, models = list(texts), list(regions), list(models)
        questions = "\n".join(f'  - {{id: q{n}, text: "{text} ({unique})"}}' for n, text in enumerate(texts))
        self.planned[name] = len(texts) * len(regions) * len(models)
        text = _JOB.format(
            name=name,
            regions=", ".join(regions),
            models=", ".join(f"{{id: {model}}}" for model in models),
            questions=questions,
            schedule=schedule,
            limits=limits,
        )
        (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def begin(self, name: str, *options: str, environment: Mapping[str, str] | None = None) -> Forked:
        """Start a run of the job of this name, which gets the job's name."""
        return self.start(
            name, "run", f"{name}.yaml", "--run-id", name, "--quiet", *options, environment=environment
        )

    def relay(self, lanes: Iterable[Iterable[str]], seconds: float) -> None:
        """Begin the runs of each lane one after another, the lanes side by side; wait for their ends."""
        waiting = [iter(lane) for lane in lanes]
        running: list[str | None] = [None] * len(waiting)

        def all_done() -> bool:
            for place, name in enumerate(running):
                if name is None or self.processes[name].poll() is not None:
                    following = next(waiting[place], None)
                    running[place] = following or name
                    if following is not None:
                        self.begin(following)
            return all(name is None or self.processes[name].poll() is not None for name in running)

        until(all_done, "the last job of every lane is done", seconds)
        self.finish()

    def beacon(self, *arguments: str) -> Ended:
        """Run beacon to its end."""
        return ended(self._nursery.start(list(arguments), self.environment, self.folder))

    def resume(self, name: str) -> Forked:
        """Go on with a run; with one that had not begun, begin."""
        return self.start(name, "resume", name, "--quiet") if self.records(name) else self.begin(name)

    def start(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Forked:
        """Start beacon; `name` is how the test calls the process."""
        given = {**self.environment, **(environment or {})}
        process = self.processes[name] = self._nursery.start(list(arguments), given, self.folder)
        return process

    def start_anew(self, name: str, *arguments: str, environment: Mapping[str, str]) -> None:
        """Start beacon from nothing, with these variables too."""
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "beacon_cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **environment},
            cwd=self.folder,
        )

    @property
    def store(self) -> Store:
        """The queue."""
        if self._store is None:
            self._store = wiring.store(Settings(home=self.home, queue=self._queue), rehearsal=False)
        return self._store

    def look(self) -> Snapshot:
        """The queue as it is."""
        return self.store.snapshot()

    def holding(self) -> dict[str, str]:
        """Who has its turn, by region."""
        return {
            name: each.run_id
            for name, line in self.look().regions.items()
            for each in line.active
            if each.state is TicketState.HOLDING
        }

    def waiting(self, region: str) -> list[str]:
        """Who waits in a region, in order."""
        line = self.look().regions.get(region)
        return [each.run_id for each in line.waiting] if line else []

    def records(self, name: str) -> list[Record]:
        """The whole records of a run's journal."""
        return whole_records(self.home / "runs" / name / "events.jsonl")

    def told(self, name: str, event: str) -> list[Record]:
        """A run's records of one kind."""
        return [each for each in self.records(name) if each["event"] == event]

    def finish(self, *names: str, code: int = 0, seconds: float = 60.0) -> None:
        """Wait for the ends of these processes, or of all."""
        for name in names or list(self.processes):
            done = ended(self.processes[name], seconds)
            assert done.code == code, (name, done)

    def verify(self, *names: str, late: int = 0) -> dict[str, int]:
        """Hold these runs, or all, against the ledger and the log, at their ends; gives the ledger's peaks.

        `late` is how many calls are known to have been placed too late, each with a container of its own.
        """
        for name in names or list(self.planned):
            answers = Counter(each["execution"] for each in self.told(name, "attempt_succeeded"))
            assert set(answers.values()) == {1}, f"{name}: recorded twice"
            assert len(answers) == self.planned[name], f"{name}: {len(answers)} of {self.planned[name]}"
        peaks = self.verify_caps(late=late)
        until(lambda: not self.book.calls(), "no call is left at the provider")
        pause(self.lease)
        left = self._leases()
        assert left == [], left
        return peaks

    def verify_caps(self, *, late: int = 0) -> dict[str, int]:
        """Hold the ledger and the log against the caps and the order; gives the ledger's peaks."""
        peaks = self.book.peaks()
        over_all = peaks.pop("")
        assert over_all <= GPUS_TOTAL + late, f"{over_all} containers lived at once"
        assert all(most <= GPUS_PER_REGION + late for most in peaks.values()), peaks
        assert queue_check.check(self.store.log()).violations == ()
        return {**peaks, "": over_all}

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.close_store()

    def close_store(self) -> None:
        """Let go of the queue's file; it is opened again when it is looked at."""
        if self._store is not None:
            self._store.close()
        self._store = None

    def _leases(self) -> list[Any]:
        return [each for line in self.look().regions.values() for each in (*line.active, *line.waiting)]


def _is_quiet(workspace: Emulated) -> bool:
    return not workspace.whole.containers() and not workspace.whole.calls()


def pause(seconds: float) -> None:
    """Let real processes go on for a while."""
    time.sleep(seconds)
