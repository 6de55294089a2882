"""Whatever strangers put into answers, errors and names: no way out gives a terminal anything to obey."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from rich.console import RenderableType
from tests.support import scripted
from tests.support.hostile import CORPUS, TEXTS
from tests.unit.display.safety import unsafe

from beacon_cli import events as ev
from beacon_cli import rows
from beacon_cli.display import answers, jsonl, listing, paper, picture, summary
from beacon_cli.display.plain import Telling
from beacon_cli.model import (
    Cancelled,
    Context,
    ErrorKind,
    Execution,
    Failed,
    Model,
    Outcome,
    Question,
    Region,
    SimulatedTarget,
    Spec,
    Succeeded,
)
from beacon_cli.plan import Plan
from beacon_cli.results import Standings, fold

Out: TypeAlias = tuple[str, str]
"""The name of a way out, and what came of it."""

WIDTHS = (20, 100)


def hostile_spec(text: str) -> Spec:
    """A job in which every name and text is hostile, as no loader would let it through: but for half characters.

    Ids and prompts are hashed and sent as UTF-8; every loader refuses what it cannot carry.
    """
    text = text.encode("utf-8", "replace").decode()
    return Spec(
        id=text,
        description=text,
        regions=tuple(Region(id=f"{text}{n}", app=text, place=text) for n in range(2)),
        regions_off=(text,),
        models=tuple(Model(id=f"{text}{n}") for n in range(2)),
        questions=tuple(Question(id=f"{text}{n}", text=text, category=text) for n in range(2)),
        contexts=(Context(id=text, system_prompt="plain"),),
        target=SimulatedTarget(),
    )


def hostile_outcome(text: str, execution: Execution) -> Outcome:
    """Answers in one half, failures and cancellations in the other."""
    provenance = {text: [text, {text: text}]}
    match execution.order % 4:
        case 0 | 1:
            return Succeeded(response=text, container=text, cold_start=True, provenance=provenance)
        case 2:
            return Failed(kind=ErrorKind.PLATFORM, message=text, transient=False, provenance=provenance)
    return Cancelled(message=text)


def run_of(text: str) -> list[ev.Event]:
    """A whole run in which everything that a stranger controls is `text`, the call ids included."""
    spec = hostile_spec(text)
    told = scripted.run(spec, scripted.Scripted(lambda execution, _: hostile_outcome(text, execution)))
    events = [
        msgspec.structs.replace(event, call_id=text + event.call_id) if isinstance(event, ev.CallPlaced) else event
        for event in told.events
    ]
    end = ev.RunFinished(at=9.0, seconds=9.0, succeeded=4, failed=2, skipped=0, cancelled=2)
    given_up = ev.RegionGivenUp(at=8.0, region=spec.regions[0].id, reason=text)
    return [*events, given_up, ev.RunInterrupted(at=8.0, reason=text), end]


def printed(thing: RenderableType, width: int) -> str:
    """What a renderable becomes where nothing asks for colours."""
    stream = io.StringIO()
    console = paper.console(stream)
    console.width = width
    console.print(thing)
    return stream.getvalue()


def result_rows(events: list[ev.Event]) -> list[dict[str, Any]]:
    """The rows of `results.jsonl`."""
    standings = fold(events)
    assert standings.run is not None
    deciding = {
        event.execution: event for event in events if isinstance(event, ev.AttemptSucceeded | ev.AttemptFailed)
    }
    executions = Plan(standings.run.spec).executions()
    return [rows.row(standings, execution, deciding.get(execution.id)) for execution in executions]


def for_people(events: list[ev.Event]) -> Iterator[Out]:
    """Every way out that ends on a screen."""
    telling, standings = Telling(), Standings()
    for event in events:
        standings.apply(event)
        for line in [*telling.lines(event, standings), telling.heartbeat(standings, 5.0)]:
            assert "\n" not in line
            yield "plain", line
        for width in WIDTHS if isinstance(event, ev.AttemptStarted | ev.RunFinished) else ():
            for drawn in picture.render(standings, 5.0, width, 30):
                assert "\n" not in drawn.plain
                yield f"live at {width}", drawn.plain
    assert standings.run is not None
    spec = standings.run.spec
    names = {(region.id, model.id): 1 for region in spec.regions for model in spec.models}
    plan = listing.PlanView(
        job_id=spec.id,
        schedule="lockstep",
        counts=names,
        order=[question.id for question in spec.questions],
        concurrency=10,
        per_region=3,
        regions_off=spec.regions_off,
        bound=(1.0, 2.0),
        service=(3.0, 5.0),
    )
    listed = listing.RunLine(run_id=spec.id, job_id=spec.id, state=spec.id, planned=1)
    for width in WIDTHS:
        hints = [(spec.id, spec.id)]
        yield "summary", printed(summary.summary(standings, width, results=spec.id, hints=hints), width)
        yield "answers", printed(answers.answers(result_rows(events), width), width)
        yield "plan", printed(listing.plan(plan, width), width)
        yield "runs", printed(listing.runs([listed], width), width)


def for_programs(events: list[ev.Event]) -> Iterator[tuple[str, bytes]]:
    """Every way out that ends in a file or a pipe."""
    for event in events:
        yield "journal", ev.to_line(event)
        yield "--json", jsonl.line(event).encode()
    for row in result_rows(events):
        yield "results", rows.to_line(row)


@pytest.mark.parametrize("name", CORPUS)
def test_nothing_that_a_terminal_obeys_reaches_the_screen(name: str) -> None:
    """Each text of the corpus, in every place at once: only safe characters on any screen, and no exception."""
    for way, text in for_people(run_of(CORPUS[name])):
        assert not unsafe(text), way


@settings(max_examples=25, deadline=None)
@given(TEXTS)
def test_no_text_at_all_crashes_a_display(text: str) -> None:
    """Any text, in every place at once: safe on every screen."""
    for way, shown in for_people(run_of(text)):
        assert not unsafe(shown), way


@pytest.mark.parametrize("name", CORPUS)
def test_machines_get_ascii_and_lose_nothing(name: str) -> None:
    """Each text of the corpus in journal, results and `--json`: one printable ASCII line each, and all of it."""
    text = CORPUS[name]
    events = run_of(text)
    for way, line in for_programs(events):
        assert line.endswith(b"\n"), way
        assert all(0x20 <= byte < 0x7F for byte in line[:-1]), way
        json.loads(line)
    assert [ev.from_line(ev.to_line(event)) for event in events] == events
    said = [json.loads(rows.to_line(row)) for row in result_rows(events)]
    assert {row["response"] for row in said} == {text, None}
    assert {row["error"]["message"] for row in said if row["status"] == "failed"} == {text}
    answered = [event for event in events if isinstance(event, ev.AttemptSucceeded)]
    assert {json.loads(jsonl.line(event))["answer"]["response"] for event in answered} == {text}


def test_markup_is_shown_as_it_was_said() -> None:
    """Rich's markup in an answer is text like any other."""
    said = CORPUS["closes markup"]
    shown = printed(answers.answers(result_rows(run_of(said)), 200), 200)
    assert said in shown
