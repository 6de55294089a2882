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
    time: Annotated[
        bool, typer.Option("--time", help="Say how long it will take, and show its GPUs over that time.")
    ] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Say what it will cost.")] = False,
    gpu: Annotated[
        str | None,
        typer.Option(
            "--gpu", metavar="NAME", help="With --cost: the models' GPU, where none is known.", show_default=False
        ),
    ] = None,
    rates: options.RatesFile = None,
    window: Annotated[
        float,
        typer.Option(
            "--window", metavar="SECONDS", min=0.0, max=86_400.0, help="How long an idle container stays."
        ),
    ] = 300.0,
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", min=1, help="How many questions a container answers at once.")
    ] = 1,
    rehearsals: Annotated[
        bool, typer.Option("--rehearsals", help="By the times of rehearsals, in place of those of real runs.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show what a run of the job would do: the matrix, the order, the least time. Starts nothing."""
    from beacon_cli.errors import UsageError
    from beacon_cli.operations import looking, orders

    chosen = orders.select(region, model, question, limit, schedule)
    if power and (time or cost):
        raise UsageError("--power shows something else than --time and --cost: ask for one at a time")
    if power:
        from beacon_cli.operations import weighing

        weighing.power(job, chosen, as_json=json)
    elif time or cost:
        from beacon_cli.operations import foreseeing

        wanted = foreseeing.Wanted(
            time=time, cost=cost, gpu=gpu, window=window, concurrent=at_once, rates=rates, rehearsals=rehearsals
        )
        foreseeing.show(job, chosen, wanted, as_json=json)
    else:
        looking.plan(job, chosen, as_json=json)


def validate(job: options.JobFile) -> None:
    """Check a job file; every fault is reported with its place."""
    from beacon_cli.display import paper
    from beacon_cli.operations import writing

    paper.say([writing.validate(job)], sys.stdout, whole=True)


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
