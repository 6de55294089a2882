"""`beacon prewarm`, `warm`, `cool`, `probe`, `doctor`: containers started before anybody asks, kept, let go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from beacon_cli.cli import options

_Job: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="[JOB]",
        help="Its containers are meant; those of beacon's own apps if left out.",
        show_default=False,
    ),
]
_Wait: TypeAlias = Annotated[
    bool, typer.Option("--wait", help="Wait for a turn in the queue; without it, leave with code 5 instead.")
]


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    for command in (prewarm, cool, warm, probe, doctor):
        app.command()(command)


def prewarm(
    job: _Job = None,
    *,
    region: options.Regions = None,
    model: options.Models = None,
    wait: _Wait = False,
    json: options.Json = False,
) -> None:
    """Start the containers that a job needs, show each as it becomes ready; code 0 only if all are."""
    from beacon_cli import guards
    from beacon_cli.operations import warmth

    guards.install_in_loggers()
    wanted = warmth.Wanted(job=job, regions=region or (), models=model or (), wait=wait, as_json=json)
    raise typer.Exit(warmth.prewarm(wanted))


def cool(
    job: _Job = None, *, region: options.Regions = None, model: options.Models = None, wait: _Wait = False
) -> None:
    """Put back what runs that crashed have left changed; let a job's or region's idle containers go at once."""
    from beacon_cli import guards
    from beacon_cli.operations import warmth

    guards.install_in_loggers()
    raise typer.Exit(warmth.cool(warmth.Wanted(job=job, regions=region or (), models=model or (), wait=wait)))


def warm(
    job: options.JobFile,
    *,
    apply: Annotated[bool, typer.Option("--apply", help="See to it; else only say what is to be.")] = False,
    wait: _Wait = False,
) -> None:
    """Keep a job's containers warm in its business hours (keep_warm), and no longer: for cron."""
    from beacon_cli import guards
    from beacon_cli.operations import warmth

    guards.install_in_loggers()
    raise typer.Exit(warmth.warm(warmth.Wanted(job=job, wait=wait), apply=apply))


def doctor(job: _Job = None, *, json: options.Json = False) -> None:
    """Look at credentials, apps, queue and leftovers, each with its remedy; code 5 when a run could not start."""
    from beacon_cli import guards
    from beacon_cli.operations import doctor

    guards.install_in_loggers()
    raise typer.Exit(doctor.doctor(job, as_json=json))


def probe(
    job: _Job = None,
    *,
    region: Annotated[str, typer.Option("--region", metavar="REGION", help="Where; it may be switched off.")],
    model: options.Models = None,
    wait: _Wait = False,
    json: options.Json = False,
) -> None:
    """Start a region's containers from cold, say how long each took, and let them go again."""
    from beacon_cli import guards
    from beacon_cli.operations import warmth

    guards.install_in_loggers()
    wanted = warmth.Wanted(job=job, regions=(region,), models=model or (), wait=wait, as_json=json)
    raise typer.Exit(warmth.probe(wanted))
