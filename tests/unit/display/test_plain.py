from __future__ import annotations

import io
import re

import anyio
import pytest
from tests.unit.display.safety import unsafe
from tests.unit.display.streams import BEGIN, HOSTILE, Plot, played, resumed, stream

from beacon_cli.display import plain
from beacon_cli.display.plain import Plain, Telling
from beacon_cli.results import Standings

TROUBLED = Plot(retried=0.15, failing=0.05, dead=("asia",))
LARGE = Plot(questions=tuple(f"q{number}" for number in range(1000)), retried=0.1, failing=0.1)


def told(plot: Plot) -> list[str]:
    """All lines of a run."""
    telling, standings = Telling(), Standings()
    lines: list[str] = []
    for event in stream(plot):
        standings.apply(event)
        lines += telling.lines(event, standings)
    return lines


def test_a_run_is_told_from_start_to_end() -> None:
    """The rehearsal's label, size, each region's turn, each question, failures, given-up regions, counts."""
    lines = told(TROUBLED)
    assert lines[0] == "   0:00  REHEARSAL: no GPU is used, every answer is made up"
    assert lines[1].endswith("run 20261121-181502-k3f9 of bias-detection started at 2026-09-21 14:13:20 UTC")
    assert "72 executions, 3 regions, 3 models, 8 questions, at most 10 at a time" in lines[2]
    assert "   0:00  us: started, 24 executions" in lines
    assert "   1:21  asia: GIVEN UP: 3 executions in a row: CUDA out of memory" in lines
    assert "   1:21  asia: ended, 0 answered, 3 failed, 21 skipped" in lines
    assert "   1:46  eu: asking taiwan_status (12/24 done)" in lines
    assert "   0:58  retry in 2.3 s: us llama3.2-1b, math_basic: model: CUDA out of memory" in lines
    assert "   1:46  FAILED eu mistral-7b, tiananmen_neutral: platform: CUDA out of memory" in lines
    assert lines[-1] == "   2:57  run finished in 2:57: 44 answered, 7 failed, 21 skipped"


def test_each_question_is_named_once_in_a_region() -> None:
    """A line for a question's turn, not for each model that is asked."""
    asking = [line for line in told(Plot()) if "asking" in line]
    assert len(asking) == 3 * 8


def test_each_context_is_a_turn_of_its_own() -> None:
    """The same question in another context is told again, with the context."""
    asking = [line for line in told(Plot(contexts=("formal", "casual"))) if "asking" in line]
    assert len(asking) == 3 * 8 * 2
    assert "in context casual" in asking[-1]


def test_thousands_of_executions_stay_readable() -> None:
    """9,000 executions with 20 % of troubles: less than 150 lines, of tenths and some failures."""
    lines = told(LARGE)
    assert len(lines) < 150
    assert any("us: 50 % done (1500/3000)" in line for line in lines)
    assert sum("further failures are counted, not told" in line for line in lines) == 3


def test_an_interruption_is_told() -> None:
    """The signal and the calls that are still in flight."""
    assert any("interrupted by SIGINT: stopping" in line for line in told(TROUBLED._replace(stop_after=30)))


def test_a_resumed_run_says_so_and_counts_its_own_time() -> None:
    """The first line tells what was done before; the hour in between is in no line's time."""
    telling, standings = Telling(), Standings()
    lines: list[str] = []
    for event in resumed(TROUBLED, 200):
        standings.apply(event)
        if standings.began_at > BEGIN:
            lines += telling.lines(event, standings)
    assert lines[0] == "   0:00  REHEARSAL: no GPU is used, every answer is made up"
    assert re.search(
        r"  run 20261121-181502-k3f9 of bias-detection resumed at .* UTC, \d+ of 72 executions", lines[1]
    )
    assert all(line.startswith("   0:") for line in lines)


def test_the_heartbeat_says_how_far_it_is() -> None:
    """Done, in flight, waiting, time left, and the call that takes longest."""
    line = Telling().heartbeat(played(TROUBLED, 100), BEGIN + 100)
    assert line.startswith(
        "   1:40  still running: 15/72 done, 3 failed, 1 in flight, 2 executions waiting for a retry"
    )
    assert line.endswith("about 1:04 left, longest: us llama3.2-1b for 0:39")


def test_hostile_names_do_nothing() -> None:
    """Ids, errors and reasons can neither move the cursor nor start a line of their own."""
    plot = Plot(
        regions=("us", HOSTILE),
        models=("m", HOSTILE),
        questions=("q", HOSTILE),
        contexts=(HOSTILE,),
        run_id=HOSTILE,
        job_id=HOSTILE,
        message=HOSTILE * 50,
        dead=(HOSTILE,),
        retried=0.5,
    )
    lines = told(plot)
    assert not unsafe("".join(lines), allowed="")
    assert max(map(len, lines)) <= 4 * 160


@pytest.mark.anyio
async def test_lines_are_written_whole_and_without_escape_codes() -> None:
    """The stream holds the told lines, each with its line end, and no control besides."""
    out, standings = io.StringIO(), Standings()
    async with Plain(out) as display:
        for event in stream(TROUBLED):
            standings.apply(event)
            await display.handle(event, standings)
    assert out.getvalue() == "".join(f"{line}\n" for line in told(TROUBLED))
    assert not unsafe(out.getvalue())


@pytest.mark.anyio
async def test_the_heart_beats_until_the_run_has_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every so often a line comes without any event, and none after the last."""
    monkeypatch.setattr(plain, "_HEARTBEAT", 0.01)
    out, standings = io.StringIO(), Standings()
    events = list(stream(TROUBLED))
    async with Plain(out, now=lambda: BEGIN + 20) as display:
        for event in events[:10]:
            standings.apply(event)
            await display.handle(event, standings)
        with anyio.fail_after(20):
            while out.getvalue().count("still running") < 2:  # noqa: ASYNC110  a thread writes
                await anyio.sleep(0.01)
        for event in events[10:]:
            standings.apply(event)
            await display.handle(event, standings)
        await display._outlet._at_most(0)
        at_the_end = out.getvalue()
        await anyio.sleep(0.05)
    assert out.getvalue() == at_the_end
