"""`beacon report` and `compare`: what the answers are evidence for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from beacon_cli.cli import options

Html: TypeAlias = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the whole report there as one page.", show_default=False),
]
Open: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--open", help="Open the page in a browser; kept in the run's folder unless --html names a file."
    ),
]
Gates: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-on",
        metavar="GATE",
        help="Leave with 6 if the report crosses it: difference, inconclusive, refusals>10%, missing>5%, …;"
        " may be given several times.",
        show_default=False,
    ),
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Write over a page that is there.")]


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    for command in (report, compare):
        app.command()(command)


def report(
    run: options.Answers = "",
    *,
    html: Html = None,
    open_page: Open = False,
    fail_on: Gates = None,
    json: options.Json = False,
    force: Force = False,
) -> None:
    """Say whether answers differ by region, and whether that means anything."""
    from beacon_cli.operations import reporting

    wish = reporting.Wish(html=html, open_page=open_page, as_json=json, fail_on=fail_on or (), force=force)
    reporting.report(run, wish)


def compare(
    first: Annotated[
        str, typer.Argument(metavar="RUN_A", help="The first run, as for `report`.", show_default=False)
    ],
    second: Annotated[
        str, typer.Argument(metavar="RUN_B", help="The run to hold against it.", show_default=False)
    ],
    *,
    html: Html = None,
    open_page: Open = False,
    fail_on: Gates = None,
    json: options.Json = False,
    force: Force = False,
) -> None:
    """Say whether two runs differ, on the executions that both have."""
    from beacon_cli.operations import reporting

    wish = reporting.Wish(html=html, open_page=open_page, as_json=json, fail_on=fail_on or (), force=force)
    reporting.compare(first, second, wish)
