"""Errors to exit codes and one line on stderr: the only place that does."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable

from beacon_cli.errors import BeaconError


def exit_code(error: Exception, *, debug: bool) -> int:
    """Say on stderr what is wrong and return the code to leave with; a traceback only with `debug`."""
    causes = _causes(error)
    ours = [cause for cause in causes if isinstance(cause, BeaconError)]
    if debug:
        traceback.print_exception(error)
    if ours and len(ours) == len(causes):
        _say(line for cause in ours for line in str(cause).split("\n"))
        return max(cause.exit_code for cause in ours)
    hint = "" if debug else " (a fault of beacon itself; `beacon --debug …` shows where)"
    _say(f"{type(cause).__name__}: {cause}{hint}" for cause in causes if not isinstance(cause, BeaconError))
    return BeaconError.exit_code


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for part in error.exceptions for cause in _causes(part)]
    return [error]


def _say(lines: Iterable[str]) -> None:
    from beacon_cli.display import paper

    paper.say([f"beacon: {line}" for line in dict.fromkeys(lines)], sys.stderr)
