"""`beacon deploy`: the apps that ask the models, brought to Modal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    app.command()(deploy)


def deploy(
    *,
    region: options.Regions = None,
    download: Annotated[
        bool, typer.Option("--download", help="Then fill each region's volume with the models' weights.")
    ] = False,
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            metavar="NAME",
            help="The Modal secret that holds HF_TOKEN; gated models are downloaded with it.",
            show_default=False,
        ),
    ] = None,
    apps: Annotated[
        Path | None,
        typer.Option(
            "--apps",
            metavar="DIR",
            help="The folder with the files, in place of those that came with beacon.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deployed.")] = False,
    json: options.Json = False,
) -> None:
    """Deploy the apps of the regions to Modal, with the account of this machine."""
    from functools import partial

    from beacon_cli.display import paper
    from beacon_cli.operations import deploying

    tell = partial(deploying.show, stream=sys.stdout, as_json=json)
    chosen = deploying.chosen(region or (), apps)
    if dry_run:
        for each in chosen:
            tell(each)
        return
    deploying.deploy(chosen, tell, secret=secret, download=download)
    if not download:
        paper.tell(["Containers need weights: beacon deploy --download  fills the volumes, once"])
