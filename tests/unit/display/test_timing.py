"""Pictures of time and money: they fit, they say what is not known, and nothing hostile gets through."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType
from tests.unit.display.safety import unsafe

from beacon_cli.display import advising, costing, measured, timing
from beacon_cli.rates import Rates
from beacon_cli.timings.advice import Facts, advise
from beacon_cli.timings.claims import Claims
from beacon_cli.timings.costs import Costs
from beacon_cli.timings.habits import Habits
from beacon_cli.timings.losses import Lost
from beacon_cli.timings.metrics import Metrics
from beacon_cli.timings.samples import Sample
from beacon_cli.timings.shares import Shares
from beacon_cli.timings.waterfall import Part, Waterfall

RATES = Rates(gpu={"T4": 0.000164}, region={"eu": 1.75}, dated="2026-07-01", source="a\x1b[31m page")
HOSTILE = "m\x1b[31m\u202eo\nd el" + "x" * 90


def shown(picture: RenderableType, width: int = 80) -> str:
    """The picture as text."""
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False, highlight=False).print(picture)
    return stream.getvalue()


def fall(parts: dict[Part, float], **more: Any) -> Waterfall:
    """A waterfall with these parts."""
    fields: dict[str, Any] = {
        "execution": "e",
        "region": "eu",
        "model": "m",
        "question": "q",
        "repeat": 1,
        "attempts": 1,
        "answered": True,
        "claims": Claims(cold=True),
        "parts": parts,
    }
    return Waterfall(**{**fields, **more})


def view(*falls: Waterfall, **more: Any) -> timing.TimingView:
    """A run of these."""
    shares = Shares()
    for each in falls:
        shares.add(each)
    return timing.TimingView(
        **{"run_id": "r1", "job_id": "job", "rehearsal": False, "shares": shares, "slowest": falls, **more}
    )


PARTS = {Part.TURN: 5.0, Part.ORDER: 2.0, Part.SLOT: 1.0, Part.BOOT: 20.0, Part.LOAD: 30.0, Part.GENERATION: 49.0}


def test_the_share_of_each_part_is_said() -> None:
    """Cold starts and answers as shares of the executions' own time, the waits before that apart."""
    text = " ".join(shown(timing.timing(view(fall(PARTS)), 80)).split())
    assert "50 %" in text
    assert "49 %" in text
    assert "5.0 s for its turn in the queue" in text
    assert "2.0 s for the questions before" in text


def test_unknown_is_not_nothing() -> None:
    """Time that no answer accounts for makes a share a lower bound, or no share at all."""
    assert "0 %" not in shown(timing.timing(view(fall({Part.UNTOLD: 9.0})), 80))
    assert ">20 %" in shown(timing.timing(view(fall({Part.UNTOLD: 8.0, Part.BOOT: 2.0})), 80))


def test_a_rehearsal_says_whose_seconds_they_are() -> None:
    """Of a rehearsal the seconds are the provider's, and the picture says so; where the speed is unknown, that."""
    assert "multiplied by 60" in shown(timing.timing(view(fall(PARTS), rehearsal=True, speeds=[60.0]), 80))
    assert "not in its journal" in shown(timing.timing(view(fall(PARTS), rehearsal=True, speeds=[None]), 80))
    assert "seconds" not in shown(timing.timing(view(fall(PARTS)), 80))


@given(parts=st.dictionaries(st.sampled_from(Part), st.floats(0, 1e6)), length=st.integers(1, 60))
def test_a_bar_is_as_long_as_it_is_told(parts: dict[Part, float], length: int) -> None:
    """A bar takes its cells exactly, however its parts are rounded, or none where there was no time."""
    bar = timing.strip(parts, length)
    assert bar.cell_len == (length if sum(parts.values()) > 0 else 0)


def test_ascii_terminals_get_ascii() -> None:
    """On a terminal that is not set to UTF-8 every sign of the bars is ASCII."""
    assert shown(timing.timing(view(fall(dict.fromkeys(Part, 1.0))), 80, ascii_only=True)).isascii()


def test_the_end_of_a_run_says_it_in_a_line() -> None:
    """A line for each region: cold starts first, then what took most; one that does not say has none."""
    shares = view(fall(PARTS)).shares
    brief = timing.brief(shares)
    assert brief is not None
    assert "eu cold starts took 50 % of its executions' time; generation 49 %, slot 1 %" in brief.plain
    assert timing.brief(view(fall({Part.UNTOLD: 9.0})).shares) is None
    assert timing.brief(Shares()) is None


def test_the_end_of_a_rehearsal_says_whose_seconds_these_are() -> None:
    """The table above has this machine's seconds; a run that is no faster than life has but one kind."""
    shares = view(fall(PARTS)).shares
    assert "the provider's seconds (those above, times 60)" in shown(timing.brief(shares, speed=60.0) or "")
    assert "provider" not in shown(timing.brief(shares, speed=1.0) or "")


def test_nothing_yet_is_said() -> None:
    """A run of which nothing has ended has a picture too."""
    assert "nothing to show" in shown(timing.timing(view(), 80))


def samples(model: str, gpu: str | None) -> list[Sample]:
    """A few answers, the first cold."""
    return [
        Sample(
            region="eu",
            model=model,
            at=86_400.0 * (1 + n),
            seen=70.0,
            claims=Claims(cold=n == 0, boot=30.0 * (n == 0), load=0.0, generation=4.0, gpu=gpu, container="c"),
        )
        for n in range(3)
    ]


def pictures(model: str, gpu: str | None, width: int) -> list[RenderableType]:
    """Every picture of this room, of a model with this name."""
    metrics, habits, costs = Metrics(), Habits(), Costs()
    for sample in samples(model, gpu):
        metrics.add(sample)
        habits.add(sample)
        costs.add(sample)
        costs.lose(Lost("eu", model, 3.0))
    habits.close()
    facts = [Facts(region="eu", group=metrics.regions["eu"], habits=habits)]
    cost = costing.CostView(run_id="r", job_id=model, rehearsal=True, costs=costs, rates=RATES, window=120.0)
    many = measured.MetricsView(metrics=metrics, origin=HOSTILE, rehearsals=True, remarks=[HOSTILE])
    return [
        timing.timing(view(fall(PARTS, model=model, question=model), job_id=model, rehearsal=True), width),
        measured.metrics(many, width),
        costing.cost(cost, width),
        advising.advice(advise(facts, RATES), RATES, [HOSTILE], rehearsals=True),
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("gpu", ["T4", HOSTILE, None])
def test_pictures_fit_and_are_safe(width: int, gpu: str | None) -> None:
    """At any width no line is longer than it, and no name from a model or a file is obeyed by a terminal."""
    for picture in pictures(HOSTILE, gpu, width):
        text = shown(picture, width)
        assert not unsafe(text)
        assert all(cell_len(line.rstrip()) <= width for line in text.splitlines())


def test_money_says_what_it_does_not_know() -> None:
    """A GPU without a price makes the sum unknown, and the rates have their date."""
    *_, known, _ = pictures("m", "T4", 100)
    *_, unknown, _ = pictures("m", "X9", 100)
    assert "2026-07-01" in shown(known)
    assert " % of it cold starts, would have cost " in shown(known)
    assert "its price is unknown" in shown(unknown)
    assert "0.0000" not in shown(unknown)
