"""The way in: `beacon` and `python -m beacon_cli`. Leaves quietly on Ctrl-C from the first import on."""

from __future__ import annotations

import gc
import os
import signal
import sys

from beacon_cli import circles, signals


def main() -> None:
    """Run the command line and leave with its exit code."""
    circles.put_off()
    signals.catch(_leave_at_once)  # before anything else is imported
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else it reads what every package says of itself
    import io

    from beacon_cli import guards

    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 shows what it can
    guards.install()
    from beacon_cli.cli import application
    from beacon_cli.cli.exits import exit_code

    try:
        app = application(sys.argv[1:])
        sys.exit(app(standalone_mode=False))  # Typer's own way to show errors trusts what was typed
    except Exception as error:  # noqa: BLE001 - the one place that turns errors into exit codes
        sys.exit(exit_code(error, debug="--debug" in sys.argv))
    finally:
        gc.freeze()  # everything is closed by now, and a last look for circles takes a tenth of a second


def _open_what_is_closed() -> None:
    """Without an output from the start, the next file to be opened would take its place, and its text."""
    from pathlib import Path

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _leave_at_once(number: signal.Signals) -> None:
    """Nothing is running yet or any more: a run has its own way to stop."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
