"""`beacon metrics` and `advise`: how warm the containers were, how long things took, what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from beacon_cli.cli import options

Since: TypeAlias = Annotated[
    str | None,
    typer.Option("--since", metavar="LENGTH", help="Only what came so long ago: 12h, 5d, 2w.", show_default=False),
]
Rehearsals: TypeAlias = Annotated[
    bool, typer.Option("--rehearsals", help="Of rehearsals alone, which are left out otherwise.")
]
Logs: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--from-logs",
        metavar="FILE",
        help="From the [METRICS] lines that `modal app logs` printed, not from runs; - for stdin.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    for command in (metrics, advise):
        app.command()(command)


def metrics(
    *, since: Since = None, rehearsals: Rehearsals = False, from_logs: Logs = None, json: options.Json = False
) -> None:
    """Count warm and cold answers over all runs, and say how long each kind took."""
    from beacon_cli.operations import measuring

    measuring.metrics(since, rehearsals=rehearsals, logs=from_logs, as_json=json)


def advise(
    *,
    since: Since = None,
    rehearsals: Rehearsals = False,
    slow_start: Annotated[
        float,
        typer.Option(
            "--slow-start",
            metavar="SECONDS",
            min=0.0,
            help="The longest median cold start with which a region is kept.",
        ),
    ] = 360.0,
    rates: options.RatesFile = None,
    json: options.Json = False,
) -> None:
    """Say what to do about cold starts: what it gains, what it costs, and the command."""
    from beacon_cli.operations import advising

    advising.show(since, rehearsals=rehearsals, slow_start=slow_start, rates=rates, as_json=json)
