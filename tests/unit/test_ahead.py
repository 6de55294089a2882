from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.display.streams import Plot, stream

from beacon_cli import events as ev
from beacon_cli import wiring
from beacon_cli.evidence.readings import Kind, Reading
from beacon_cli.model import Succeeded
from beacon_cli.operations.ahead import Ahead
from beacon_cli.results import Standings


def _placed() -> ev.CallPlaced:
    return ev.CallPlaced(at=1.0, execution="e", attempt=1, call_id="c")


def _standings(questions: int) -> Standings:
    plot = Plot(regions=("us",), models=("m",), questions=tuple(f"q{number}" for number in range(questions)))
    standings = Standings()
    standings.apply(next(stream(plot)))
    assert standings.planned == questions
    return standings


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BEACON_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    usual = sys.getswitchinterval()
    yield
    assert sys.getswitchinterval() == usual


@pytest.mark.anyio
async def test_the_reader_is_made_ready_once_a_call_is_placed() -> None:
    """It reads as any other."""
    ahead = Ahead()
    await ahead.handle(_placed(), _standings(2))
    reader = ahead.reader()
    assert reader is not None
    assert reader.read("I'm sorry, but I can't help with that.").kind == "hard_refusal"


@pytest.mark.anyio
async def test_nothing_is_made_ready_for_a_single_question() -> None:
    """Its only answer is its end."""
    ahead = Ahead()
    await ahead.handle(_placed(), _standings(1))
    assert ahead.reader() is None


REFUSAL, ANSWER = (
    "I'm sorry, but I can't help with that.",
    "It is the capital of that country, with a long history.",
)


async def _told(ahead: Ahead, standings: Standings, said: list[str]) -> None:
    """An answer each to so many executions, as the run's events tell it."""
    for number, text in enumerate(said):
        started = ev.AttemptStarted(
            at=2.0, execution=f"e{number}", attempt=1, region="us", model="m", question=f"q{number}", context=None,
            repeat=1, queued_at=2.0,
        )  # fmt: skip
        placed = ev.CallPlaced(at=2.0, execution=f"e{number}", attempt=1, call_id=f"c{number}")
        answer = Succeeded(response=text, provenance={"finish_reason": "stop"})
        came = ev.AttemptSucceeded(at=3.0, execution=f"e{number}", attempt=1, seconds=1.0, answer=answer)
        for event in (started, placed, came):
            standings.apply(event)
            await ahead.handle(event, standings)


@pytest.mark.anyio
async def test_answers_are_read_as_they_come() -> None:
    """At the end of a run that has every answer nothing is left to be read."""
    ahead, standings = Ahead(), _standings(3)
    await _told(ahead, standings, [ANSWER, REFUSAL, ANSWER])
    assert ahead.counts(standings) == {("us", "m"): {"substantive": 2, "hard_refusal": 1}}


@pytest.mark.anyio
async def test_a_run_that_lacks_an_answer_is_read_at_its_end() -> None:
    """What came while this listened is not passed off for all there is."""
    ahead, standings = Ahead(), _standings(3)
    await _told(ahead, standings, [ANSWER, REFUSAL])
    assert ahead.counts(standings) is None


@pytest.mark.anyio
async def test_an_answer_that_cannot_be_read_ahead_is_read_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the thread takes nothing from the picture: the end meets it again."""

    class Faulty:
        def read_row(self, row: Mapping[str, Any]) -> Reading:
            if row["response"] == REFUSAL:
                raise RecursionError
            return Reading(kind=Kind.SUBSTANTIVE, because="content")

    monkeypatch.setattr(wiring, "reader", lambda _: Faulty())
    ahead, standings = Ahead(), _standings(3)
    await _told(ahead, standings, [ANSWER, REFUSAL, ANSWER])
    assert ahead.counts(standings) is None


@pytest.mark.anyio
async def test_wrong_patterns_are_left_to_the_end(tmp_path: Path) -> None:
    """What is wrong is said once, where it matters; the run goes on."""
    (tmp_path / "beacon.toml").write_text('patterns = ["nowhere.toml"]\n', encoding="utf-8")
    ahead = Ahead()
    await ahead.handle(_placed(), _standings(2))
    assert ahead.reader() is None
