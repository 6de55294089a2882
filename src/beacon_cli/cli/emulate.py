"""`beacon emulator`: the emulator by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    app.command()(emulator)


def emulator(
    *,
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free port.")] = 0,
    speed: Annotated[
        float,
        typer.Option(
            "--speed", metavar="X", min=0.01, max=options.FASTEST, help="How many times faster than life."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides times and answers.")] = 0,
    gpus: Annotated[int, typer.Option("--gpus", metavar="N", min=1, help="The workspace's GPU limit.")] = 10,
    ledger: Annotated[
        Path | None,
        typer.Option(
            "--ledger", metavar="FILE", help="Write every call and container there (JSONL).", show_default=False
        ),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option("--script", metavar="FILE", help="A script of failures (JSON).", show_default=False),
    ] = None,
) -> None:
    """Play Modal on this machine: a control plane on loopback that the unmodified Modal SDK talks to."""
    from beacon_cli import guards
    from beacon_cli.emulator import server

    guards.install_in_loggers()
    server.main(port=port, speed=speed, seed=seed, gpus=gpus, ledger=ledger, script=script)
