"""A provider within the test that outlives every run: it keeps its calls, and counts who asks what."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted import Scripted, answers

from beacon_cli import wiring
from beacon_cli.model import Execution, Outcome
from beacon_cli.operations import carry_out
from beacon_cli.operations.orders import Continuation, Order
from beacon_cli.ports import MayPlace, Placed, always
from beacon_cli.wiring import Show

_JOB = """\
id: small
regions: [{regions}]
models: [{{id: m1}}{more}]
questions: [{{id: q1, text: "One?"}}, {{id: q2, text: "Two?"}}]
executor:
  modal: {{app: "a-{{region.app}}", function: f, arguments: {{prompt: "{{prompt}}"}}}}
"""


class Remembering(Scripted):
    """Answers at once. A call that was taken can be collected for ever."""

    def __init__(self) -> None:
        self.remembered: dict[str, Outcome] = {}
        super().__init__(seconds=lambda _: 0.0)
        self.kept = self.remembered

    async def attempt(
        self, execution: Execution, number: int, placed: Placed, may_place: MayPlace = always
    ) -> Outcome:
        """See `ports.Executor.attempt`."""

        async def remembered(call_id: str) -> None:
            self.remembered[call_id] = answers(execution, number)
            await placed(call_id)

        return await super().attempt(execution, number, remembered, may_place)

    @property
    def asked(self) -> Counter[str]:
        """How often each execution was asked."""
        return Counter(execution.id for _, execution, _ in self.began)

    def forget_counts(self) -> None:
        """Count from nothing; the calls are kept."""
        self.began.clear()
        self.collected.clear()
        self.cancelled.clear()


class Desk:
    """A home with a job in it, in this process, before a provider that stays."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, small: bool) -> None:
        self.provider = Remembering()
        self.home = folder / "home"
        self.job = folder / "job.yaml"
        text = _JOB.format(regions="us" if small else "us, eu", more="" if small else ", {id: m2}")
        self.job.write_text(text, encoding="ascii")
        self.executions = 2 if small else 8
        monkeypatch.chdir(folder)
        monkeypatch.setenv("BEACON_HOME", str(self.home))
        monkeypatch.setattr(wiring, "executor", self._open)

    def run_folder(self, run_id: str = "r") -> Path:
        """Where a run is kept."""
        return self.home / "runs" / run_id

    def journal(self, run_id: str = "r") -> Path:
        """The journal of a run."""
        return self.run_folder(run_id) / "events.jsonl"

    def order(self, run_id: str = "r") -> Order:
        """What `beacon run` is asked for."""
        return Order(job=self.job, run_id=run_id, show=Show(progress=False))

    def continuation(self, run_id: str = "r") -> Continuation:
        """What `beacon resume` is asked for."""
        return Continuation(run=run_id, show=Show(progress=False))

    def crash_in_the_middle(self, run_id: str = "r") -> None:
        """Leave a run as a kill leaves it: a call under way, a torn record, no results."""
        assert carry_out.run(self.order(run_id)) == 0
        lines = self.journal(run_id).read_bytes().splitlines(keepends=True)
        last = max(number for number, line in enumerate(lines) if b'"call_placed"' in line)
        self.journal(run_id).write_bytes(b"".join(lines[: last + 1]) + b'{"event":"att')
        (self.run_folder(run_id) / "results.jsonl").unlink()
        self.provider.forget_counts()

    def _open(self, _spec: object, **_options: Any) -> Any:
        return nullcontext(self.provider)
