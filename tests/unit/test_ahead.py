from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.display.streams import Plot, stream

from beacon_cli import events as ev
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


@pytest.mark.anyio
async def test_wrong_patterns_are_left_to_the_end(tmp_path: Path) -> None:
    """What is wrong is said once, where it matters; the run goes on."""
    (tmp_path / "beacon.toml").write_text('patterns = ["nowhere.toml"]\n', encoding="utf-8")
    ahead = Ahead()
    await ahead.handle(_placed(), _standings(2))
    assert ahead.reader() is None
