"""`beacon runs`, `show` and `export`: what was run, what came of it, and its answers for others to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    for command in (runs, show, export):
        app.command()(command)


def runs(*, json: options.Json = False) -> None:
    """List the runs, newest first."""
    from beacon_cli.operations import looking

    looking.runs(as_json=json)


def show(
    run: options.Run = "",
    *,
    timing: Annotated[
        bool, typer.Option("--timing", help="Show where its time went, in place of the answers.")
    ] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Show what it used of GPUs, and what that cost.")] = False,
    rates: options.RatesFile = None,
    window: Annotated[
        float,
        typer.Option(
            "--window",
            metavar="SECONDS",
            min=0.0,
            max=86_400.0,
            help="With --cost: how long an idle container stays at most.",
        ),
    ] = 300.0,
    json: options.Json = False,
) -> None:
    """Show a run: how it ended, and its answers side by side; or where its time went, or what it cost."""
    from beacon_cli.errors import UsageError

    if timing and cost:
        raise UsageError("--timing and --cost show different things: ask for one at a time")
    if cost:
        from beacon_cli.operations import costing

        costing.show(run, rates=rates, window=window, as_json=json)
        return
    if timing:
        from beacon_cli.operations import timing as times

        times.show(run, as_json=json)
        return
    from beacon_cli.operations import looking

    looking.run(run, as_json=json)


def export(
    run: options.Answers = "",
    *,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="jsonl, csv, parquet, json, markdown, junit or inspect.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write it there, not to stdout.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a run's answers in a form that other programs read."""
    from beacon_cli.operations import exporting

    exporting.export(run, form, output, force=force)
