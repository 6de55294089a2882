from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0


class Terminal:
    """A real terminal of a given size in which a shell runs."""

    def __init__(self, width: int, height: int) -> None:
        self._socket = f"beacon-test-{uuid.uuid4().hex[:8]}"
        foreign = {"NO_COLOR", "TMUX", "COLUMNS", "LINES"}  # the size is the terminal's own to say
        environ = {key: value for key, value in os.environ.items() if key not in foreign}
        self._environ = {**environ, "LC_ALL": "C.UTF-8", "PS1": "$ "}
        size = ("-x", str(width), "-y", str(height))
        self._tmux("-f", os.devnull, "new-session", "-d", *size, "-c", str(ROOT), "sh")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-L", self._socket, *arguments]
        return subprocess.run(command, env=self._environ, capture_output=True, text=True, check=True).stdout

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        self._tmux("send-keys", line, "Enter")

    def resize(self, width: int, height: int) -> None:
        """Change the size."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self) -> str:
        """What is on the screen, with what has scrolled off its top."""
        return self._tmux("capture-pane", "-p", "-S", "-500")

    def is_in_order(self) -> bool:
        """Whether the cursor is shown and lines wrap."""
        return self._tmux("display-message", "-p", "#{cursor_flag}#{wrap_flag}").strip() == "11"

    def until(self, is_there: Callable[[str], object]) -> str:
        """The screen, once it is as wanted."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            screen = self.screen()
            if is_there(screen):
                return screen
            time.sleep(0.05)
        pytest.fail(f"this stayed on the screen:\n{self.screen()}")

    def close(self) -> None:
        """End the terminal and all that runs in it."""
        self._tmux("kill-server")


@pytest.fixture
def terminal() -> Iterator[Callable[[int, int], Terminal]]:
    """Opens terminals, and closes them."""
    if shutil.which("tmux") is None:
        if os.environ.get("CI"):
            pytest.fail("tmux is needed: apt-get install tmux")
        pytest.skip("tmux is not here")
    opened: list[Terminal] = []

    def opens(width: int, height: int) -> Terminal:
        opened.append(Terminal(width, height))
        return opened[-1]

    yield opens
    for one in opened:
        one.close()


def play(speed: int, halt: int, plot: str = "troubled") -> str:
    """The command that plays a run."""
    return f"{sys.executable} -m tests.acceptance.player {speed} {halt} {plot}"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 40)])
def test_a_run_is_seen_from_start_to_end(
    terminal: Callable[[int, int], Terminal], width: int, height: int
) -> None:
    """The picture comes, changes in place, ends with the run and leaves the summary and a working terminal."""
    window = terminal(width, height)
    window.type(play(40, 100))
    starting = window.until(lambda screen: "starting" in screen)
    assert "time left not known yet" in starting
    middle = window.until(lambda screen: "1:40 elapsed" in screen)
    assert middle.count("REHEARSAL") == 1
    assert re.search(r"▶ us .* 2/24 +math_basic +1 retry", middle)
    assert re.search(r"✗ asia .* 3/24 +given up +3 failed · 21 skipped", middle)
    assert "3 executions in a row: CUDA out of memory" in middle
    assert "1 of 10 in use" in middle
    assert all(len(line) <= width for line in middle.splitlines())
    end = window.until(lambda screen: "44 of 72 executions answered" in screen and "slowest" in screen)
    picture, _, table = end.partition("44 answered · 7 failed · 21 skipped")
    assert picture.count("REHEARSAL") == 1
    assert "finished in 2:57" in picture
    assert "answered  failed  skipped  retries" in table
    assert window.is_in_order()


def test_a_resize_leaves_one_picture(terminal: Callable[[int, int], Terminal]) -> None:
    """Narrower and wider again while the run goes on: the old frames are painted over."""
    window = terminal(100, 40)
    window.type("seq 30; " + play(20, 500))
    window.until(lambda screen: "slots" in screen)
    for width in (70, 50, 120):
        window.resize(width, 40)
        time.sleep(0.6)
    end = window.until(lambda screen: "44 of 72 executions answered" in screen)
    picture, _, _ = end.partition("44 answered · 7 failed")
    assert picture.count("REHEARSAL") == 1
    assert picture.count("▶ us") + picture.count("✓ us") == 1


def test_twenty_regions_fit_a_small_screen(terminal: Callable[[int, int], Terminal]) -> None:
    """Regions that have no room are summed up in a line, and nothing scrolls away."""
    window = terminal(80, 16)
    window.type("clear; " + play(40, 60, "many"))
    screen = window.until(lambda screen: "1:00 elapsed" in screen)
    assert re.search(r"and \d+ more regions: \d+ running", screen)
    assert screen.count("REHEARSAL") == 1


def test_a_killed_run_leaves_the_terminal_in_order(terminal: Callable[[int, int], Terminal]) -> None:
    """After `kill -9` there is nothing to restore: the cursor is shown, lines wrap, the shell goes on."""
    window = terminal(80, 24)
    window.type(f"{play(10, 500)} & player=$!; sleep 3; kill -9 $player; wait; echo killed by $((4 + 5))")
    window.until(lambda screen: "slots" in screen)
    window.until(lambda screen: "killed by 9" in screen)
    assert window.is_in_order()


def test_a_closed_pipe_does_not_end_the_run(terminal: Callable[[int, int], Terminal]) -> None:
    """`2>&1 | head -1` and a full disk: the run goes on to its end, in silence."""
    window = terminal(80, 24)
    window.type(f"{play(1000, 1)} 2>/dev/full >/dev/null; echo full gave $?")
    window.until(lambda screen: "full gave 0" in screen)
    window.type(f"({play(1000, 1)} 2>&3 >/dev/null; echo closed gave $? >/dev/tty) 3>&1 | head -1")
    screen = window.until(lambda screen: re.search(r"closed gave \d", screen))
    assert "closed gave 0" in screen
    assert "Traceback" not in screen
