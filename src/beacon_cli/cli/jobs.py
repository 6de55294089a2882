"""`beacon plan`, `validate`, `schema`, `init`: writing a job and knowing what it will do. Nothing is started."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    for command in (plan, validate, schema, init):
        app.command()(command)


def plan(
    job: options.JobFile,
    *,
    region: options.Regions = None,
    model: options.Models = None,
    question: options.Questions = None,
    limit: options.FirstQuestions = None,
    schedule: options.ScheduleName = None,
    power: Annotated[
        bool, typer.Option("--power", help="Say which differences the design can find, and what it would take.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show what a run of the job would do: the matrix, the order, the least time. Starts nothing."""
    from beacon_cli.operations import looking, orders

    chosen = orders.select(region, model, question, limit, schedule)
    if not power:
        looking.plan(job, chosen, as_json=json)
        return
    from beacon_cli.operations import weighing

    weighing.power(job, chosen, as_json=json)


def validate(job: options.JobFile) -> None:
    """Check a job file; every fault is reported with its place."""
    from beacon_cli.display import paper
    from beacon_cli.operations import writing

    paper.say([writing.validate(job)], sys.stdout)


def schema() -> None:
    """Print the JSON Schema of job files, for editors."""
    from beacon_cli.operations import writing

    typer.echo(writing.schema())


def init(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The file to write.")] = Path("job.yaml"),
    *,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented job file to start from."""
    from beacon_cli.display import paper
    from beacon_cli.operations import writing

    writing.init(job, force=force)
    paper.say([f"Wrote {job}. Try it:  beacon run {shlex.quote(str(job))} --rehearse"], sys.stdout)
