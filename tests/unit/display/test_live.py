from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.unit.display.screen import Screen
from tests.unit.display.streams import BEGIN, HOSTILE, Plot, stream

from beacon_cli.display import live
from beacon_cli.display.live import Live, repaint
from beacon_cli.display.picture import render
from beacon_cli.results import Standings

pytestmark = pytest.mark.anyio

TROUBLED = Plot(retried=0.15, failing=0.05, dead=("asia",))


class Clock:
    """A clock that shows the time of the newest event."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> float:
        """The time."""
        return self.now


def console(screen: Screen, width: int = 100, height: int = 30) -> Console:
    """A console of that size on the screen, in colour."""
    return Console(file=screen, force_terminal=True, color_system="256", width=width, height=height, _environ={})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits a quarter of a second for a frame."""
    monkeypatch.setattr(live, "_EVERY", 0.001)
    return iter([None])


async def painted(display: Live) -> None:
    """Have the newest frame on the screen."""
    await display._outlet._at_most(0)
    display._paint()
    await display._outlet._at_most(0)


async def test_the_screen_shows_the_picture() -> None:
    """After any event the terminal holds the picture of the standings and nothing else."""
    screen, clock, standings = Screen(), Clock(), Standings()
    async with Live(console(screen), now=clock) as display:
        for number, event in enumerate(stream(TROUBLED)):
            standings.apply(event)
            clock.now = event.at
            await display.handle(event, standings)
            if number % 20 == 0:
                await painted(display)
                expected = [line.plain for line in render(standings, clock.now, 100, 29)]
                assert screen.shown() == expected
    assert screen.shown() == [line.plain for line in render(standings, clock.now, 100, 29)]
    assert screen.row == len(screen.shown())


FRAME = st.lists(st.sampled_from(["a", "bbbb", "", "cc"]), min_size=1, max_size=6)


@given(st.lists(FRAME, min_size=1, max_size=6))
def test_a_frame_takes_the_place_of_the_one_before(frames: list[list[str]]) -> None:
    """Whatever frames follow one another, longer or shorter, the last one is all that stands."""
    screen = Screen()
    before: list[str] = []
    for frame in frames:
        screen.write(repaint(before, frame))
        before = frame
    assert screen.shown() == frames[-1]
    assert len(screen.lines) == len(frames[-1]) + 1


def test_a_line_that_fills_the_width_keeps_its_last_cell() -> None:
    """What is left of an older line is erased without the cell in which the cursor waits at the end."""
    screen = Screen(width=10)
    screen.write(repaint([], ["0123456789", "short"]))
    assert screen.shown() == ["0123456789", "short"]


def test_only_what_changed_is_written() -> None:
    """A line that is the same as before costs one byte."""
    assert "same" not in repaint(["same", "old"], ["same", "new"])


@given(st.lists(st.text("ab", max_size=4), max_size=5), st.lists(st.text("ab", max_size=4), max_size=5))
def test_each_frame_leaves_the_terminal_in_order(before: list[str], after: list[str]) -> None:
    """Cursor and line wrap are on again at the end of every frame: nothing is to be restored after a crash."""
    screen = Screen()
    screen.write("\n" * len(before) + repaint(before, after))
    assert screen.modes == {"25": True, "7": True}


async def test_a_resize_paints_anew() -> None:
    """A narrower terminal gets a narrower picture, over the rows that the wrapped one takes."""
    screen, clock, standings = Screen(), Clock(), Standings()
    surface = console(screen)
    async with Live(surface, now=clock) as display:
        for event in stream(TROUBLED):
            standings.apply(event)
            await display.handle(event, standings)
            if event.at > BEGIN + 100:
                break
        clock.now = BEGIN + 100
        await painted(display)
        surface.size = surface.size._replace(width=40)
        await painted(display)
        narrow = [line.plain for line in render(standings, clock.now, 40, 29)]
        assert screen.shown()[: len(narrow)] == narrow


async def test_nothing_is_written_when_nothing_changed() -> None:
    """A frame like the one before is left out."""
    screen, clock, standings = Screen(), Clock(), Standings()
    async with Live(console(screen), now=clock) as display:
        for event in list(stream(TROUBLED))[:10]:
            standings.apply(event)
            await display.handle(event, standings)
        await painted(display)
        given_before = display._outlet._given
        await anyio.sleep(0.02)
        assert display._outlet._given == given_before


async def test_an_exception_passes_and_the_last_frame_stays() -> None:
    """What ends the run goes through the display as it is; the picture and the cursor are left in order."""
    screen, clock, standings = Screen(), Clock(), Standings()
    with pytest.raises(KeyError, match="run"):  # noqa: PT012  the run is within the display
        async with Live(console(screen), now=clock) as display:
            for event in list(stream(TROUBLED))[:30]:
                standings.apply(event)
                await display.handle(event, standings)
            raise KeyError("run")
    assert screen.shown() == [line.plain for line in render(standings, clock.now, 100, 29)]
    assert screen.modes == {"25": True, "7": True}


async def test_a_cancelled_run_shows_its_last_frame() -> None:
    """A cancellation from outside cannot cut the last frame short."""
    screen, clock, standings = Screen(), Clock(), Standings()
    with anyio.CancelScope() as scope:
        async with Live(console(screen), now=clock) as display:
            for event in list(stream(TROUBLED))[:30]:
                standings.apply(event)
                await display.handle(event, standings)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert screen.shown() == [line.plain for line in render(standings, clock.now, 100, 29)]


async def test_a_fault_in_drawing_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The display goes quiet and remembers why."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("drawing")

    monkeypatch.setattr(live, "render", broken)
    screen, standings = Screen(), Standings()
    async with Live(console(screen), now=Clock()) as display:
        for event in list(stream(TROUBLED))[:10]:
            standings.apply(event)
            await display.handle(event, standings)
        await anyio.sleep(0.01)
    assert isinstance(display.failure, ZeroDivisionError)
    assert screen.shown() == []


async def test_after_a_pause_of_the_process_it_paints_below() -> None:
    """Stopped and gone on with (Ctrl-Z, fg), the display does not write over what the shell has said."""
    screen, clock, standings = Screen(), Clock(), Standings()
    async with Live(console(screen), now=clock) as display:
        for event in list(stream(TROUBLED))[:10]:
            standings.apply(event)
            await display.handle(event, standings)
        await painted(display)
        screen.write("fg\n")
        display._ticked -= 60
        await painted(display)
    assert "fg" in screen.shown()
    assert screen.shown()[-1].startswith("  slots")


async def test_what_else_is_printed_stands_above(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning on stderr stays readable, clean, above the picture; afterwards the streams are as they were."""
    screen, standings = Screen(), Standings()
    stderr = sys.stderr
    async with Live(console(screen), now=Clock()) as display:
        for event in list(stream(TROUBLED))[:30]:
            standings.apply(event)
            await display.handle(event, standings)
        await painted(display)
        print("careful:\x1b[2J", file=sys.stderr)  # noqa: T201  what a library does
        await painted(display)
        print("and the rest", end="", file=sys.stderr)  # noqa: T201  the same
    picture = [line.plain for line in render(standings, BEGIN, 100, 29)]
    assert screen.shown() == ["careful:\\x1b[2J", "and the rest", *picture]
    assert sys.stderr is stderr
    assert capsys.readouterr().err == ""


async def test_no_color_leaves_words_and_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR no colour is written, and nothing is lost that a word does not say."""
    screen = Screen()
    written: list[str] = []
    environ = {"NO_COLOR": "1", "TERM": "xterm-256color"}
    surface = Console(file=screen, force_terminal=True, width=100, height=30, _environ=environ)
    standings = Standings()
    async with Live(surface, now=Clock()) as display:
        monkeypatch.setattr(display._outlet, "write", written.append)
        for event in stream(TROUBLED):
            standings.apply(event)
            await display.handle(event, standings)
    assert not re.search(r"\x1b\[[0-9;]*[34][0-7]", "".join(written))
    assert "given up" in "".join(written)


async def test_hostile_names_reach_no_terminal() -> None:
    """The bytes of a frame hold no control that did not come from the display itself."""
    plot = Plot(regions=("us", HOSTILE), questions=(HOSTILE,), run_id=HOSTILE, job_id=HOSTILE, message=HOSTILE)
    screen, standings = Screen(), Standings()
    async with Live(console(screen), now=Clock()) as display:
        for event in stream(plot._replace(dead=(HOSTILE,))):
            standings.apply(event)
            await display.handle(event, standings)
    assert any("\\x1b[2J" in line for line in screen.shown())
