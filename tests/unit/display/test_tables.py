from __future__ import annotations

import io
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console, RenderableType
from tests.unit.display.safety import unsafe
from tests.unit.display.streams import BEGIN, HOSTILE, Plot, played, resumed

from beacon_cli.display.answers import answers
from beacon_cli.display.listing import PlanView, RunLine, plan, runs
from beacon_cli.display.summary import summary
from beacon_cli.results import Standings, fold

WIDTHS = (20, 40, 80, 160, 300)
TROUBLED = Plot(retried=0.15, failing=0.05, dead=("asia",))
HOSTILE_RUN = Plot(
    regions=("us", HOSTILE),
    models=("m", HOSTILE),
    questions=("q", HOSTILE),
    run_id=HOSTILE,
    job_id=HOSTILE,
    message=HOSTILE * 9,
    dead=(HOSTILE,),
    retried=0.3,
)


def text(renderable: RenderableType, width: int) -> str:
    """What a console of that width is given, line by line without blanks at the end."""
    console = Console(file=io.StringIO(), width=width, color_system=None, _environ={})
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(shown.rstrip() for shown in capture.get().splitlines())


def row(region: str, model: str, question: str, response: str | None, **more: Any) -> dict[str, Any]:
    """A line of `results.jsonl`, as far as it is shown."""
    status = "failed" if response is None else "succeeded"
    return {
        "region": region,
        "model": model,
        "question_id": question,
        "context": None,
        "repeat": 1,
        "status": status,
        "response": response,
        "error": {"kind": "connection", "message": "refused"} if response is None else None,
        **more,
    }


def test_the_summary_counts_by_region_and_model() -> None:
    """Answers, failures, skips, retries, cold and warm, average and slowest: in 80 columns nothing is cut."""
    shown = text(summary(played(TROUBLED), 80, results="/runs/1", hints=[("read", "beacon show 1")]), 80)
    assert "answered  failed  skipped  retries  cold  warm  average  slowest" in shown
    assert "us                    21       3        -        4     3    18   11.4 s     1:07" in shown
    assert "  mistral-7b           8       -                 -     1     7    9.7 s   47.4 s" in shown
    assert "asia was given up: 3 executions in a row: CUDA out of memory" in shown
    assert "platform    3  eu mistral-7b, tiananmen_neutral: CUDA out of memory" in shown
    assert "results  /runs/1" in shown
    assert "read     beacon show 1" in shown
    assert "…" not in shown


def test_the_summary_of_a_whole_success_is_short() -> None:
    """No failures, no table of failures; the first line says that all was answered."""
    shown = text(summary(played(Plot()), 80), 80)
    assert "all 72 executions answered" in shown
    assert "failures" not in shown
    assert "given up" not in shown


def test_the_summary_of_a_real_run_has_no_label() -> None:
    """REHEARSAL stands over rehearsals alone."""
    assert "REHEARSAL" in text(summary(played(Plot()), 80), 80)
    assert "REHEARSAL" not in text(summary(played(Plot(rehearsal=False)), 80), 80)


def test_an_interrupted_run_says_so() -> None:
    """The summary names what stopped it."""
    shown = text(summary(played(TROUBLED._replace(stop_after=30)), 80), 80)
    assert "interrupted (SIGINT), " in shown
    assert "of 72 executions answered" in " ".join(shown.split())


def test_an_interrupted_run_accounts_for_every_execution() -> None:
    """A region's row adds up to all that it was to do: what never began is cancelled as well."""
    standings = played(Plot(regions=("us", "eu"), stop_after=30))
    lines = text(summary(standings, 120), 120).splitlines()
    head = next(line.split() for line in lines if "answered  failed" in line)
    rows = {
        line.split()[0]: dict(zip(head, line.split()[1:], strict=False))
        for line in lines
        if line[:2] in {"us", "eu"}
    }
    for region, row in rows.items():
        told = sum(
            int(row[column]) for column in ("answered", "failed", "skipped", "cancelled") if row[column] != "-"
        )
        assert told == standings.regions[region].planned
    assert rows.keys() == {"us", "eu"}


def test_what_resuming_found_is_counted() -> None:
    """Calls found again and answers recovered stand in the summary of a resumed run, and only there."""
    standings = fold(resumed(Plot(), 150))
    recovered = standings.recovery.recovered
    assert recovered
    assert f"{recovered} answers recovered, paid for once" in text(summary(standings, 80), 80)
    assert "resumed" not in text(summary(played(Plot()), 80), 80)


def test_a_run_that_never_started_has_a_summary() -> None:
    """No events, no exception."""
    assert "not started" in text(summary(Standings(), 80), 80)


def test_many_models_are_summed_up() -> None:
    """More rows than anybody reads: regions only."""
    plot = Plot(regions=tuple(f"r{number}" for number in range(20)), models=("a-model", "b", "c", "d"))
    assert "a-model" not in text(summary(played(plot), 80), 80)


def test_a_path_is_never_cut() -> None:
    """What is to be copied wraps instead."""
    path = "/home/somebody/" + "deep/" * 30
    shown = text(summary(played(Plot()), 40, results=path), 40)
    assert path in "".join(part.strip() for part in shown.split("results")[1].splitlines())


def test_the_list_of_runs_keeps_what_matters_when_narrow() -> None:
    """In 80 columns the run's id, its state and its count are whole; wide, all columns are there."""
    lines = [
        RunLine(
            run_id="20261121-181502-k3f9",
            job_id="bias-detection",
            state="interrupted, 3 calls may still run",
            planned=72,
            succeeded=7,
            started_at=BEGIN,
            rehearsal=True,
        )
    ]
    narrow, wide = text(runs(lines, 80), 80), text(runs(lines, 160), 160)
    assert "20261121-181502-k3f9  interrupted, 3 calls may still run      7/72" in narrow
    assert "2026-09-21 14:13:20" in wide
    assert "rehearsal" in wide
    assert text(runs([], 80), 80) == "no runs yet"


def test_the_plan_is_a_matrix_with_sums() -> None:
    """Counts by region and model, their sums, the order, the regions that are off, the least time."""
    view = PlanView(
        job_id="j",
        schedule="lockstep",
        counts={("us", "a"): 8, ("us", "b"): 8, ("eu", "a"): 8},
        order=["q1", "q2"],
        concurrency=10,
        per_region=3,
        regions_off=["asia"],
        bound=(99.0, 165.0),
        service=(3.0, 5.0),
    )
    shown = text(plan(view, 80), 80)
    assert "24 executions, lockstep, at most 10 at a time, 3 in a region" in shown
    assert "us    8  8   16" in shown
    assert "eu    8  -    8" in shown
    assert "all  16  8   24" in shown
    assert "q1, q2" in shown
    assert "asia: switched off" in shown
    assert "1:39 to 2:45 at least, with answers of 3 to 5 s" in shown
    narrow = text(plan(view, 40), 40).splitlines()
    after = narrow[next(number for number, line in enumerate(narrow) if line.startswith("time")) + 1 :]
    assert after, "it takes more than a line"
    assert all(line.startswith(" " * 8) for line in after if line.strip())


def test_no_number_of_a_plan_is_cut() -> None:
    """With more models than there is room for, they stand under each other; else the sums of regions do."""
    regions = [f"r{number}" for number in range(3)]
    models = [f"some-organisation/model-with-number-{number}" for number in range(20)]
    counts = {(region, model): 1500 for region in regions for model in models}
    view = PlanView(
        job_id="j",
        schedule="lanes",
        counts=counts,
        order=["q1"],
        concurrency=10,
        per_region=3,
        bound=(1.0, 2.0),
        service=(3.0, 5.0),
    )
    shown = text(plan(view, 80), 80).splitlines()
    assert shown[2].split() == ["r0", "r1", "r2", "all"]
    assert shown[3].split()[1:] == ["1,500", "1,500", "1,500", "4,500"]
    assert len({line.split()[0] for line in shown[3:23]}) == 20
    narrow = text(plan(view, 40), 40).splitlines()
    assert [line.split() for line in narrow if line.startswith(("r2", "all"))] == [
        ["r2", "30,000"],
        ["all", "90,000"],
    ]


def test_models_whose_names_end_differently_are_told_apart() -> None:
    """A long name is cut in the middle, in the summary and beside the answers."""
    models = tuple(f"an-organisation-with-a-name/model-{number}" for number in range(3))
    shown = text(summary(played(Plot(models=models)), 100), 100)
    assert all(f"/model-{number} " in shown for number in range(3))
    rows = [row(region, model, "q", "yes") for region in ("us", "eu") for model in models]
    assert all(f"model-{number} " in text(answers(rows, 100), 100) for number in range(3))


def test_a_region_that_is_off_is_not_passed_over_in_silence() -> None:
    """The summary says which regions of the job the configuration has switched off."""
    standings = played(Plot())
    assert standings.run is not None
    spec = structs.replace(standings.run.spec, regions_off=("asia",))
    standings.run = structs.replace(standings.run, spec=spec)
    assert "off: asia, switched off in the configuration, not asked" in text(summary(standings, 80), 80)


def test_answers_stand_side_by_side() -> None:
    """One table for each question, a column for each region; a same answer is not repeated, a failure is said."""
    rows = [
        row("us", "a", "geo", "Paris"),
        row("eu", "a", "geo", "Paris"),
        row("asia", "a", "geo", None),
        row("us", "a", "who", "I am a"),
        row("eu", "a", "who", "Je suis a"),
    ]
    shown = text(answers(rows, 100), 100).splitlines()
    assert shown[0] == "geo"
    assert shown[1].split() == ["us", "eu", "asia"]
    assert "Paris" in shown[2]
    assert "the same as us" in shown[2]
    assert "failed: connection: refused" in shown[2]
    assert shown[4] == "who"
    assert "not planned" in shown[6]


def test_answers_stand_below_one_another_when_narrow() -> None:
    """Too narrow for columns, each region has a line of its own."""
    rows = [row(region, "a", "geo", f"Paris, {region}") for region in ("us", "eu", "asia")]
    lines = [line.split() for line in text(answers(rows, 40), 40).splitlines()]
    assert ["us", "Paris,", "us"] in lines
    assert ["asia", "Paris,", "asia"] in lines


def test_contexts_and_repeats_stand_apart() -> None:
    """Each context and each repeat of a question is a table of its own."""
    rows = [row("us", "a", "geo", "x", context="formal"), row("us", "a", "geo", "y", repeat=2)]
    shown = text(answers(rows, 80), 80)
    assert "in context formal" in shown
    assert "repeat 2" in shown


def test_a_long_answer_is_cut() -> None:
    """A megabyte of answer takes the cells that it was given."""
    assert len(text(answers([row("us", "a", "geo", "x" * 1_000_000)], 100, length=50), 100)) < 200


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_hostile_comes_out_of_a_table(width: int) -> None:
    """Ids, answers, errors and paths full of controls and markup give harmless text at any width, no exception."""
    view = PlanView(
        job_id=HOSTILE,
        schedule="lanes",
        counts={(HOSTILE, HOSTILE): 1},
        order=[HOSTILE],
        bound=(1.0, 2.0),
        service=(1.0, 2.0),
        concurrency=1,
        per_region=1,
        regions_off=[HOSTILE],
    )
    rows = [
        row("us", HOSTILE, HOSTILE, HOSTILE, context=HOSTILE),
        row(HOSTILE, HOSTILE, HOSTILE, None, context=HOSTILE, error={"kind": "model", "message": HOSTILE}),
    ]
    shown = [
        text(summary(played(HOSTILE_RUN), width, results=HOSTILE, hints=[(HOSTILE, HOSTILE)]), width),
        text(runs([RunLine(run_id=HOSTILE, job_id=HOSTILE, state=HOSTILE, planned=1)], width), width),
        text(plan(view, width), width),
        text(answers(rows, width), width),
    ]
    for one in shown:
        assert one
        assert not unsafe(one)


def test_markup_is_shown_as_it_is() -> None:
    """An answer that looks like markup is no markup."""
    assert "[/red][bold]x" in text(answers([row("us", "a", "geo", "[/red][bold]x")], 80), 80)
