"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from beacon_cli.errors import UsageError

FASTEST = 1_000_000.0
"""What `--speed` may be: beyond it no time is left of anything, and infinity is no number to multiply by."""


def _not_empty(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """An empty name is mostly a variable that a script forgot to set; it must not pass for one left out."""
    source = context.get_parameter_source(option.name or "")
    if not value and source is not None and source.name == "COMMANDLINE":
        raise UsageError("RUN is empty: name a run, or leave it out")
    return value


def _run(told: str) -> Any:
    """The argument that names a run; Typer's own is typed as anything."""
    return typer.Argument(metavar="RUN", callback=_not_empty, help=told)


JobFile: TypeAlias = Annotated[
    Path, typer.Argument(metavar="JOB", help="The job file (YAML).", show_default=False)
]
Run: TypeAlias = Annotated[str, _run("The run's id or its beginning; the latest run if left out.")]
Answers: TypeAlias = Annotated[
    str, _run("The run's id or its beginning, or the path of a results.jsonl; the latest run if left out.")
]
UnfinishedRun: TypeAlias = Annotated[
    str, _run("The run's id or its beginning; the latest unfinished run if left out.")
]
AnyRun: TypeAlias = Annotated[str, _run("The run's id; every run that no process writes if left out.")]
Regions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--region", metavar="REGION", help="Only this region; may be given several times.", show_default=False
    ),
]
Models: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="MODEL", help="Only this model; may be given several times.", show_default=False
    ),
]
Questions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--question",
        metavar="QUESTION",
        help="Only this question; may be given several times.",
        show_default=False,
    ),
]
FirstQuestions: TypeAlias = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N questions.", show_default=False)
]
ScheduleName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--schedule", metavar="NAME", help="lockstep or lanes, in place of the job's.", show_default=False
    ),
]
Executor: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--executor", metavar="NAME", help="modal, openai or simulated, in place of the job's.", show_default=False
    ),
]
RatesFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--rates",
        metavar="FILE",
        help="Prices as `modal billing rates --json` prints them; - for stdin.",
        show_default=False,
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Put a copy of the results there.", show_default=False),
]
EventsAsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Events as JSON lines on stdout, all else on stderr.")
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress; the summary and errors alone.")
]
Speed: TypeAlias = Annotated[
    float,
    typer.Option(
        "--speed",
        min=0.01,
        max=FASTEST,
        metavar="X",
        help="How many times faster than life a rehearsal runs.",
    ),
]
PriorityName: TypeAlias = Annotated[
    str,
    typer.Option("--priority", metavar="NAME", help="high, normal or low: whom the queue serves first."),
]
NoWait: TypeAlias = Annotated[
    bool, typer.Option("--no-wait", help="Leave with code 5 where it would have to wait for a turn.")
]
Prewarm: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--prewarm/--no-prewarm",
        help="Start the models' containers before they are asked; so it is where there is more than one question.",
        show_default=False,
    ),
]
MaxCost: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        min=0.01,
        max=1_000_000.0,
        help="What the run may cost, in place of the job's budget; it stops before it would cost more.",
        show_default=False,
    ),
]
KeepWarm: TypeAlias = Annotated[
    bool,
    typer.Option("--keep-warm", help="Let a container of each model live until the region's work is done."),
]
