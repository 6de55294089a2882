"""`beacon queue-status`, `cancel` and `queue …`: seeing the queue, and changing it from any terminal."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from beacon_cli.cli import options

_Rehearsal: TypeAlias = Annotated[
    bool, typer.Option("--rehearsal", help="The queue of rehearsals on this machine, which is another.")
]
_Region: TypeAlias = Annotated[
    str, typer.Option("--region", metavar="REGION", help="Only this region.", show_default=False)
]
_Run: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="The run's id or its beginning.")]


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    app.command("queue-status")(queue_status)
    app.command()(cancel)
    group = typer.Typer(help="Pause regions, release runs, and see what the queue keeps.", no_args_is_help=True)
    for command in (pause, resume, release, failed, caps, check, begin):
        group.command()(command)
    app.add_typer(group, name="queue")


def queue_status(
    *,
    region: _Region = "",
    watch: Annotated[bool, typer.Option("--watch", help="Show it again each second, until Ctrl-C.")] = False,
    json: options.Json = False,
    rehearsal: _Rehearsal = False,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="Ask this server instead.", show_default=False)
    ] = "",
) -> None:
    """Show who has a turn in each region, who waits and from when on, and which GPUs are in use."""
    from beacon_cli.errors import UsageError
    from beacon_cli.operations import queue_status

    if watch and json:
        raise UsageError("--watch draws for people; leave out --json, or ask again and again")
    if watch:
        raise typer.Exit(queue_status.watch(region=region, url=url, rehearsal=rehearsal))
    queue_status.show(region=region, url=url, rehearsal=rehearsal, as_json=json)


def cancel(run: _Run, *, region: _Region = "", rehearsal: _Rehearsal = False) -> None:
    """Take a waiting run out of the queue, or stop a running one as by Ctrl-C, from any terminal."""
    from beacon_cli.operations import queue_acts

    queue_acts.cancel(run, region=region, rehearsal=rehearsal)


def pause(*, region: _Region = "", rehearsal: _Rehearsal = False) -> None:
    """Give no turn any more: what works goes on to its end, what waits waits."""
    from beacon_cli.operations import queue_acts

    queue_acts.pause(region=region, paused=True, rehearsal=rehearsal)


def resume(*, region: _Region = "", rehearsal: _Rehearsal = False) -> None:
    """Give turns again."""
    from beacon_cli.operations import queue_acts

    queue_acts.pause(region=region, paused=False, rehearsal=rehearsal)


def release(run: _Run, *, rehearsal: _Rehearsal = False) -> None:
    """Let a run in again that was set aside because processes died of it."""
    from beacon_cli.operations import queue_acts

    queue_acts.release(run, rehearsal=rehearsal)


def failed(*, json: options.Json = False, rehearsal: _Rehearsal = False) -> None:
    """List the executions that failed for good, with the runs that `beacon retry` asks again."""
    from beacon_cli.operations import queue_acts

    queue_acts.failed(rehearsal=rehearsal, as_json=json)


def caps(
    *,
    put: Annotated[
        bool, typer.Option("--set", help="Make them the configuration's; the queue has to be empty.")
    ] = False,
    rehearsal: _Rehearsal = False,
) -> None:
    """Show what the queue allows beside what this configuration says."""
    from beacon_cli.operations import queue_acts

    queue_acts.caps(put=put, rehearsal=rehearsal)


def begin(*, rehearsal: _Rehearsal = False) -> None:
    """Vouch that no run works and no container lives: a queue that is new, or lost its data, need not wait."""
    from beacon_cli.operations import queue_acts

    queue_acts.begin(rehearsal=rehearsal)


def check(
    *,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="Report from there on: 2026-01-31 or 2026-01-31T12:00, UTC.",
            show_default=False,
        ),
    ] = "",
    until: Annotated[
        str,
        typer.Option("--until", metavar="TIME", help="Report up to there, in the same form.", show_default=False),
    ] = "",
    json: options.Json = False,
    rehearsal: _Rehearsal = False,
) -> None:  # fmt: skip
    """Prove from the queue's log that its caps and its order held at every moment of the past."""
    from beacon_cli.operations import queue_checking

    queue_checking.check(since=since, until=until, rehearsal=rehearsal, as_json=json)
