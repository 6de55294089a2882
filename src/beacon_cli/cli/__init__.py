"""The command line: Typer commands, one file for each group. Each command reads like a recipe.

Nothing heavy is imported before a command runs, and of the commands only the one that is called is built where its
name can be told at once: building all of them takes longer than most of them take.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from beacon_cli import __version__

FILES = {
    "run": ("run", "ask", "resume", "retry", "reap"),
    "queue": ("queue-status", "cancel", "queue"),
    "deploy": ("deploy",),
    "warmth": ("prewarm", "cool", "warm", "probe", "doctor"),
    "jobs": ("plan", "validate", "schema", "init"),
    "runs": ("runs", "show", "export"),
    "report": ("report", "compare"),
    "measure": ("metrics", "advise"),
    "emulate": ("emulator",),
    "serve": ("serve",),
}
"""The files of this folder that have commands, in the order of `beacon --help`, and which."""


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """The application with all its commands; with one alone where the arguments begin with its name."""
    wanted = next((each for each in arguments if not each.startswith("-")), "")
    files = [file for file, commands in FILES.items() if wanted in commands] or list(FILES)
    app = typer.Typer(
        name="beacon",
        help="Ask the same questions of several models in several regions, and see how the answers differ.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=len(files) > 1,  # its options are read for every command, and belong to none
    )
    app.callback()(_beacon)
    for file in files:
        import_module(f"{__name__}.{file}").register(app)
    if len(files) == 1:
        app.registered_commands = [each for each in app.registered_commands if _name(each) == wanted]
        app.registered_groups = [each for each in app.registered_groups if each.name == wanted]
    return app


def _name(command: typer.models.CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", ""))


def _version(value: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if value:
        typer.echo(f"beacon {__version__}")
        raise typer.Exit


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
