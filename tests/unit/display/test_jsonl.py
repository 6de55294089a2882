from __future__ import annotations

import io
import json
from typing import Any

import pytest
from tests.unit.display.safety import unsafe
from tests.unit.display.streams import HOSTILE, Plot, resumed, stream

from beacon_cli import events as ev
from beacon_cli.display.jsonl import JsonLines, line
from beacon_cli.model import Succeeded
from beacon_cli.results import Standings

HOSTILE_RUN = Plot(
    regions=("us", HOSTILE),
    models=(HOSTILE,),
    questions=(HOSTILE, "q"),
    run_id=HOSTILE,
    job_id=HOSTILE,
    message=HOSTILE,
    answer=HOSTILE,
    retried=0.4,
    dead=("us",),
)


async def written(plot: Plot) -> list[str]:
    """The lines that a run leaves on the stream."""
    out, standings = io.StringIO(), Standings()
    async with JsonLines(out) as display:
        for event in stream(plot):
            standings.apply(event)
            await display.handle(event, standings)
    return out.getvalue().split("\n")[:-1]


@pytest.mark.anyio
async def test_a_line_for_each_event_from_start_to_end() -> None:
    """First `run_started` with ids and counts, last `run_finished` with the counts, between them every event."""
    plot = Plot(retried=0.1, failing=0.1, dead=("eu",))
    records: list[dict[str, Any]] = [json.loads(text) for text in await written(plot)]
    assert len(records) == len(list(stream(plot)))
    first, last = records[0], records[-1]
    assert first["event"] == "run_started"
    assert "spec" not in first
    assert (first["run_id"], first["job_id"], first["executions"]) == (plot.run_id, plot.job_id, 72)
    assert first["planned"] == {"us": 24, "eu": 24, "asia": 24}
    assert first["models"] == list(plot.models)
    assert last["event"] == "run_finished"
    assert last["succeeded"] + last["failed"] + last["skipped"] + last["cancelled"] == 72


@pytest.mark.anyio
async def test_events_come_back_from_their_lines() -> None:
    """Every line but the first is the event's record: a program loses nothing, whatever an answer holds."""
    events = list(stream(HOSTILE_RUN))
    lines = await written(HOSTILE_RUN)
    assert [ev.from_record(json.loads(text)) for text in lines[1:]] == events[1:]


@pytest.mark.anyio
async def test_lines_are_harmless_text() -> None:
    """ASCII without a single control: DEL, C1, bidi marks and lone surrogates are escapes."""
    text = "".join(await written(HOSTILE_RUN))
    assert text.isascii()
    assert not unsafe(text, allowed="")


def test_a_resumed_run_begins_with_ids_and_counts_too() -> None:
    """`run_resumed` has the form of `run_started`, without the whole job."""
    event = next(event for event in resumed(Plot(), 100) if isinstance(event, ev.RunResumed))
    record = json.loads(line(event))
    assert record["event"] == "run_resumed"
    assert (record["run_id"], record["executions"], record["again"]) == (Plot().run_id, 72, False)
    assert "spec" not in record


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_cost_the_provenance_only(value: float) -> None:
    """An answer survives what its function sent beside it."""
    event = ev.AttemptSucceeded(
        at=1.0, execution="e", attempt=1, seconds=1.0, answer=Succeeded(response="Paris", provenance={"x": value})
    )
    answer = json.loads(line(event), parse_constant=pytest.fail)["answer"]
    assert answer["response"] == "Paris"
    assert "provenance" not in answer
