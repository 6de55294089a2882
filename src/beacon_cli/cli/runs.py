"""`beacon runs` and `show`: what was run, and what came of it."""

from __future__ import annotations

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    for command in (runs, show):
        app.command()(command)


def runs(*, json: options.Json = False) -> None:
    """List the runs, newest first."""
    from beacon_cli.operations import looking

    looking.runs(as_json=json)


def show(run: options.Run = "", *, json: options.Json = False) -> None:
    """Show a run: how it ended, and its answers side by side."""
    from beacon_cli.operations import looking

    looking.run(run, as_json=json)
