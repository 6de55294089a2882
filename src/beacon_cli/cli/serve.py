"""`beacon serve`: the HTTP face of the queue."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    app.command()(serve)


def serve(
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Listen there.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free port.")
    ] = 8585,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A name under which clients ask for the server; may be given several times.",
            show_default=False,
        ),
    ] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Carry every job out as a rehearsal, without an account.")
    ] = False,
    speed: options.Speed = 10.0,
    processes: Annotated[
        int,
        typer.Option("--processes", metavar="N", min=1, max=500, help="Jobs with a process at once; others wait."),
    ] = 20,
) -> None:
    """Serve the queue by HTTP: its status, a page, metrics, and jobs that are posted. Needs the extra `serve`."""
    from beacon_cli import guards
    from beacon_cli.display import paper
    from beacon_cli.errors import StartError

    try:
        from beacon_cli.server.serve import Wish
        from beacon_cli.server.serve import serve as served
    except ModuleNotFoundError as error:
        raise StartError(f"{error.name} is not installed: pip install 'beacon-cli[serve]'") from error
    guards.install_in_loggers()
    served(
        Wish(
            host=host,
            port=port,
            allowed=tuple(allow_host or ()),
            rehearsal_speed=speed if rehearse else None,
            processes=processes,
        ),
        show=lambda line: paper.say([line], sys.stdout),
        say=lambda line: paper.tell([f"beacon: {line}"]),
    )
