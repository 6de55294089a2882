"""`beacon run`: carries a job out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    app.command()(run)


def run(  # noqa: PLR0913 - the options of a command
    job: options.JobFile,
    *,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Rehearse without an account, on an emulator on this machine.")
    ] = False,
    speed: Annotated[
        float,
        typer.Option("--speed", min=0.01, metavar="X", help="How many times faster than life a rehearsal runs."),
    ] = 10.0,
    executor: options.Executor = None,
    region: options.Regions = None,
    model: options.Models = None,
    question: options.Questions = None,
    limit: options.FirstQuestions = None,
    schedule: options.ScheduleName = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="Name the run yourself.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Put a copy of the results there.", show_default=False),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Events as JSON lines on stdout, all else on stderr.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress; the summary and errors alone.")
    ] = False,
) -> None:
    """Ask a job's questions of its models in its regions, and keep every answer."""
    from beacon_cli import operations

    order = operations.Order(
        job=job,
        selection=operations.select(region, model, question, limit, schedule),
        executor=executor,
        speed=speed if rehearse else None,
        run_id=run_id,
        output=output,
        show=operations.Show.JSON if json else operations.Show.QUIET if quiet else operations.Show.PROGRESS,
    )
    raise typer.Exit(operations.run(order))
