from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.display.safety import unsafe
from tests.unit.display.streams import BEGIN, HOSTILE, Plot, played, stream

from beacon_cli.display.picture import render
from beacon_cli.display.words import ASCII
from beacon_cli.results import Standings

TROUBLED = Plot(retried=0.15, failing=0.05, dead=("asia",))
MANY = Plot(regions=tuple(f"region-{number}" for number in range(20)), retried=0.1, failing=0.05)


def shown(plot: Plot, at: float, width: int, height: int | None = None) -> str:
    """The picture of a plot after so many seconds, as text."""
    return "\n".join(line.plain for line in render(played(plot, at), BEGIN + at, width, height))


def test_every_moment_of_a_run_has_a_picture() -> None:
    """Each prefix of a run's events is drawn, at every width and height, without exception and within its size."""
    sizes = list(product((20, 33, 80, 160, 300), (None, 4, 24)))
    for plot in (TROUBLED, TROUBLED._replace(stop_after=30, rehearsal=False)):
        standings = Standings()
        for number, event in enumerate(stream(plot)):
            standings.apply(event)
            width, height = sizes[number % len(sizes)]
            lines = render(standings, event.at, width, height)
            assert all(line.cell_len <= width for line in lines)
            assert height is None or len(lines) <= height


@given(st.integers(1, 300), st.integers(1, 60), st.floats(0, 200))
@settings(deadline=None)
def test_no_size_is_exceeded(width: int, height: int, at: float) -> None:
    """Twenty regions and hostile names fit in any width and height."""
    plot = MANY._replace(models=("m" * 70, HOSTILE, "漢字" * 30), questions=(HOSTILE, "q" * 90))
    lines = render(played(plot, at), BEGIN + at, width, height)
    assert 1 <= len(lines) <= height
    assert all(line.cell_len <= width for line in lines)


@pytest.mark.parametrize("width", [20, 60, 80, 160])
def test_hostile_names_do_nothing(width: int) -> None:
    """Ids, reasons and errors full of controls and markup are drawn as harmless text."""
    plot = Plot(
        regions=("us", HOSTILE),
        models=("m", HOSTILE + "2"),
        questions=("q", HOSTILE),
        run_id=HOSTILE,
        job_id=HOSTILE,
        message=HOSTILE,
        dead=(HOSTILE,),
        retried=0.3,
    )
    for at in (0, 30, 90, 120, 400):
        assert not unsafe(shown(plot, at, width))


def test_a_rehearsal_is_labelled() -> None:
    """The word stands in the first line at every width; a real run does not have it."""
    for width in (20, 40, 80, 160):
        assert "REHEARSAL" in shown(TROUBLED, 30, width, 6).splitlines()[0]
        assert "REHEARSAL" not in shown(TROUBLED._replace(rehearsal=False), 30, width)


@pytest.mark.parametrize("width", [80, 160])
def test_a_region_tells_what_it_is_at(width: int) -> None:
    """Progress, question, models with their times, cold or warm, retries, failures the reason: all are there."""
    text = shown(TROUBLED, 100, width)
    assert re.search(r"us .* 2/24 +math_basic +1 retry", text)
    assert re.search(r"eu .* 10/24 +tiananmen_neutral +2 retries", text)
    assert re.search(r"asia .* 3/24 +given up +3 failed · 21 skipped", text)
    assert "3 executions in a row: CUDA out of memory" in text
    assert "starting 39s" in text
    assert "retry in 3s" in text
    assert "warm" in shown(TROUBLED, 103, width)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_what_a_model_is_at_is_never_cut(width: int) -> None:
    """However long a container takes to start, or an answer to come, the time that has gone by can be read."""
    begun = played(Plot(), 1.0)
    for seconds in (*range(200), 600, 3599, 5999):
        lines = render(begun, BEGIN + 1 + seconds, width)
        assert "starting" in "\n".join(line.plain for line in lines)
        assert not any("…" in line.plain for line in lines)


def test_wide_is_one_line_for_each_region() -> None:
    """Where the models fit beside a region, they have columns of their own under their names."""
    lines = shown(TROUBLED, 103, 160).splitlines()
    names = next(line for line in lines if "mistral-7b" in line)
    eu = next(line for line in lines if " eu " in line)
    assert eu.index("warm 1.2s") == names.index("mistral-7b")


def test_the_whole_run_is_told() -> None:
    """Executions ended of all, share, elapsed and expected time, slots in use."""
    text = shown(TROUBLED, 100, 80)
    assert "15/72" in text
    assert "20 %" in text
    assert "1:40 elapsed, about 1:05 left" in text
    assert "1 of 10 in use" in text


def test_an_unknown_end_is_said_to_be_unknown() -> None:
    """Before the first answers no time is made up."""
    assert "time left not known yet" in shown(Plot(), 20, 80)


def test_regions_without_room_are_summed_up() -> None:
    """Twenty regions in 24 rows: those that fit, and one line for the rest, running ones first."""
    text = shown(MANY, 60, 80, 12)
    assert len(text.splitlines()) == 12
    assert re.search(r"and 12 more regions: 12 running", text)


def test_many_models_are_counted_when_they_do_not_fit() -> None:
    """Twenty models in flight in one region: as many as fit, then how many more."""
    plot = Plot(models=tuple(f"model-number-{number}" for number in range(20)))
    assert re.search(r"model-number-0 starting 10s .*\+\d+ more", shown(plot, 11, 80))


def test_the_end_says_how_it_ended() -> None:
    """The last frame counts what was answered and what was not, and shows no slots any more."""
    text = shown(TROUBLED, 9999, 80)
    assert "finished in 2:57" in text
    assert "44 answered · 7 failed · 21 skipped" in text
    assert "in use" not in text
    assert "left" not in text


def test_an_interrupted_run_says_so() -> None:
    """From the signal to the end the first line says that the run stops, and why."""
    standings = Standings()
    for event in list(stream(TROUBLED._replace(stop_after=30)))[:-1]:
        standings.apply(event)
    assert "stopping: SIGINT" in render(standings, BEGIN + 60, 80)[0].plain


def test_a_full_bar_means_that_all_is_done() -> None:
    """With all but two of 900 ended there is still something open in the bar."""
    plot = Plot(regions=("us",), questions=tuple(f"q{number}" for number in range(300)))
    standings = Standings()
    for event in list(stream(plot))[:-4]:
        standings.apply(event)
    whole = render(standings, standings.latest, 160)[-2].plain
    assert "898/900" in whole
    assert "99 %" in whole
    assert "─" in whole or "╸" in whole


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """With plain signs and plain names every character is ASCII."""
    text = "\n".join(line.plain for line in render(played(TROUBLED, 100), BEGIN + 100, 160, None, ASCII))
    assert text.isascii()
