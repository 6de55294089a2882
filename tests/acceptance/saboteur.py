"""Runs `beacon` with one of its own functions broken: `python -m tests.acceptance.saboteur PLACE ARGUMENTS…`.

The broken function has a credential among its local variables and the whole environment in its error.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NoReturn


def crash(*_arguments: Any, **_options: Any) -> NoReturn:
    """Fail with as much in hand as a fault could have."""
    secret = os.environ["MODAL_TOKEN_SECRET"]
    sys.stderr.write("sabotaged\n")
    raise RuntimeError(f"{len(secret)} characters\x1b[2J in {dict(os.environ)}")


def broken(place: str) -> tuple[Any, str]:
    """What holds the function at a place written as `module:Class.function`, and the function's name."""
    module, _, path = place.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for each in outer:
        holder = getattr(holder, each)
    assert hasattr(holder, name), f"there is no {place}"
    return holder, name


def main() -> None:
    """Break the function and run the command."""
    from beacon_cli import guards
    from beacon_cli.__main__ import main as beacon

    guards.install()  # as the way in does, before Typer comes in with the place and keeps what hook there is
    holder, name = broken(sys.argv[1])
    setattr(holder, name, crash)
    sys.argv = ["beacon", *sys.argv[2:]]
    beacon()


if __name__ == "__main__":
    main()
