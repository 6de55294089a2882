"""Errors to exit codes and one line on stderr: the only place that does."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterable

from beacon_cli.errors import BeaconError, SpecError, StoreError, UsageError


def exit_code(error: Exception, *, debug: bool) -> int:
    """Say on stderr what is wrong and return the code to leave with; a traceback only with `debug`.

    Whatever an error holds, the lines are safe for a terminal and free of the environment's credentials; a
    traceback shows no local variables.
    """
    if _of_typer(error):
        _say(_usage(error))
        return UsageError.exit_code
    causes = _causes(error)
    ours = [cause for cause in causes if isinstance(cause, BeaconError)]
    if debug:
        _print(line for part in traceback.format_exception(error) for line in part.rstrip("\n").split("\n"))
    if ours and len(ours) == len(causes):
        _say(line for cause in ours for line in _lines(cause))
        return max(cause.exit_code for cause in ours)
    if len(causes) == 1 and _of_the_output(causes[0]):
        _say([f"the output cannot be written: {causes[0]}"])
        return StoreError.exit_code
    hint = "" if debug else " (a fault of beacon itself; `beacon --debug …` shows where)"
    _say(f"{type(cause).__name__}: {cause}{hint}" for cause in causes if not isinstance(cause, BeaconError))
    return BeaconError.exit_code


def _of_the_output(error: BaseException) -> bool:
    """Whether stdout or stderr is full: what concerns a file names it."""
    return isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None


def _of_typer(error: Exception) -> bool:
    """Whether the command line could not be understood. Each version of Typer has its own classes for that."""
    return hasattr(error, "format_message")


def _usage(error: Exception) -> list[str]:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return []  # the help has been shown
    said = str(error.format_message())  # type: ignore[attr-defined]  # it has: see `_of_typer`
    command = context.command_path if context else "beacon"
    return [f"{said.rstrip('.')}; see {command} --help"]


def _lines(error: BeaconError) -> list[str]:
    """One line for each fault; whatever else is one line, so that no name in it can forge another."""
    return [str(fault) for fault in error.faults] if isinstance(error, SpecError) else [str(error)]


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for part in error.exceptions for cause in _causes(part)]
    return [error]


def _say(lines: Iterable[str]) -> None:
    _print(f"beacon: {line}" for line in dict.fromkeys(lines))


def _print(lines: Iterable[str]) -> None:
    from beacon_cli.display import paper

    paper.tell(lines)
