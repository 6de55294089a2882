"""The command line: Typer commands, one file for each group. Each command reads like a recipe.

Nothing heavy is imported before a command runs: `beacon --help` costs no more than Typer's own.
"""

from __future__ import annotations

from typing import Annotated

import typer

from beacon_cli import __version__
from beacon_cli.cli import deploy, emulate, jobs, measure, queue, report, run, runs, serve, warmth

app = typer.Typer(
    name="beacon",
    help="Ask the same questions of several models in several regions, and see how the answers differ.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (run, queue, deploy, warmth, jobs, runs, report, measure, emulate, serve):
    group.register(app)


def _version(value: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if value:
        typer.echo(f"beacon {__version__}")
        raise typer.Exit


@app.callback()
def _beacon(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a fault of beacon itself.")
    ] = False,
) -> None:
    """Options that come before any command."""
