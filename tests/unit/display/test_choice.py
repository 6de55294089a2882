from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console
from tests.unit.display.screen import Screen
from tests.unit.display.streams import Plot, stream

from beacon_cli.display.choice import Displays, choose
from beacon_cli.results import Standings


def kinds(displays: Displays) -> list[str]:
    """The names of the displays."""
    return [type(display).__name__ for display in displays._displays]


def terminal(term: str = "xterm-256color") -> Console:
    """A console on a terminal."""
    return Console(file=Screen(), force_terminal=True, _environ={"TERM": term})


def file() -> Console:
    """A console on a file."""
    return Console(file=io.StringIO(), _environ={})


def test_progress_is_live_on_a_terminal_and_plain_elsewhere() -> None:
    """Stderr decides, whatever stdout is."""
    assert kinds(choose(io.StringIO(), io.StringIO(), terminal())) == ["Live"]
    assert kinds(choose(Screen(), io.StringIO(), terminal())) == ["Live"]
    assert kinds(choose(Screen(), io.StringIO(), file())) == ["Plain"]
    assert kinds(choose(Screen(), io.StringIO(), terminal("dumb"))) == ["Plain"]


def test_json_lines_and_a_picture_never_share_a_terminal() -> None:
    """With `--json` the picture is painted only when the lines go elsewhere."""
    assert kinds(choose(io.StringIO(), io.StringIO(), terminal(), json=True)) == ["JsonLines", "Live"]
    assert kinds(choose(Screen(), io.StringIO(), terminal(), json=True)) == ["JsonLines", "Plain"]


def test_quiet_leaves_out_progress_alone() -> None:
    """JSON lines were asked for and stay."""
    assert kinds(choose(Screen(), io.StringIO(), terminal(), quiet=True)) == []
    assert kinds(choose(Screen(), io.StringIO(), terminal(), quiet=True, json=True)) == ["JsonLines"]


@pytest.mark.anyio
async def test_every_display_is_told() -> None:
    """Lines for programs and lines for people come from the same events."""
    out, progress, standings = io.StringIO(), io.StringIO(), Standings()
    async with choose(out, progress, json=True) as displays:
        for event in stream(Plot()):
            standings.apply(event)
            await displays.handle(event, standings)
    assert '"run_finished"' in out.getvalue().splitlines()[-1]
    assert "run finished" in progress.getvalue().splitlines()[-1]


def test_what_is_not_used_is_not_imported() -> None:
    """Rich is not for plain lines, the live display is only where it is shown."""
    code = (
        "import sys; import beacon_cli.display.choice;"
        "print([name for name in ('rich.console', 'rich.live', 'beacon_cli.display.live') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
