"""Pictures of what a run will take: they fit, they say what is unknown, and nothing hostile gets through."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.support.jobs import EU, US, spec
from tests.unit.display.safety import unsafe

from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.display.foreseen import ForeseenView, foreseen
from beacon_cli.model import Model, Question
from beacon_cli.plan import Plan
from beacon_cli.planning.forecasts import outlook, prices
from beacon_cli.rates import Rates
from beacon_cli.timings.history import History

HOSTILE = "m\x1b[31m\u202eo\nd el" + "x" * 90
RATES = Rates(gpu={"T4": 0.001}, region={"us": 1.0, "eu": 2.0}, dated="2026-07-01", source="a\x1b[31m page")


def shown(gpu: str | None, width: int, *, ascii_only: bool = False) -> str:
    """The whole picture of a job with a hostile model, as text."""
    job = spec(
        id=HOSTILE,
        regions=(US, EU),
        models=(Model(id=HOSTILE), Model(id="m")),
        questions=(Question(id="q", text="?"), Question(id="r", text="?")),
    )
    plan = Plan(job)
    priced = prices([(region.id, model.id) for region, model in plan.cells()], lambda _: gpu, RATES)
    found = outlook(plan, History(), priced, Scaling(), draws=20)
    view = ForeseenView(job_id=job.id, executions=len(plan), outlook=found, window=120.0, time=True, cost=True)
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False, highlight=False).print(
        foreseen(view, width, ascii_only=ascii_only)
    )
    return stream.getvalue()


@pytest.mark.parametrize("gpu", ["T4", HOSTILE, None])
@pytest.mark.parametrize("width", [80, 120])
def test_the_picture_fits_and_is_harmless(gpu: str | None, width: int) -> None:
    """Whatever models and GPUs are called, no line is wider than the terminal and none commands it."""
    text = shown(gpu, width)
    assert not unsafe(text)
    assert max(map(cell_len, text.splitlines())) <= width


def test_money_has_its_date_or_is_unknown() -> None:
    """With a price: sums, and the date of the rates. Without: the word, and the remedy."""
    known, unknown = shown("T4", 80), shown(None, 80)
    assert "rates of 2026-07-01" in known
    assert "unknown" not in known
    assert unknown.count("unknown") >= 16
    assert "--gpu" in unknown


def test_a_terminal_without_utf8_gets_letters() -> None:
    """The slots are drawn in ASCII where nothing else can be shown."""
    text = shown("T4", 80, ascii_only=True)
    assert "#" in text
    assert "█" not in text
