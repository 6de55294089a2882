"""What nobody caught and what libraries say is told like beacon's own errors: safe for a terminal, no credentials.

Python, its threads and its loggers would write it to stderr as it is. Knows no command and no run.
"""

from __future__ import annotations

import sys
import threading
import traceback
import warnings
from typing import Any


def install() -> None:
    """Take over what is written where nothing is caught: for the whole process, once, by its way in."""
    sys.excepthook = lambda kind, error, trace: _tell(traceback.format_exception(kind, error, trace))
    sys.unraisablehook = lambda failed: _tell(
        traceback.format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
    )
    threading.excepthook = _in_thread
    warnings.showwarning = _warned


def install_in_loggers() -> None:
    """Take over what libraries log and nobody handles; for commands with an event loop, which loads logging."""
    import logging

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _tell([f"{record.name}: {self.format(record)}"])

    logging.lastResort = Told(logging.WARNING)


def _in_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is not SystemExit:
        _tell(traceback.format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback))


def _warned(message: Warning | str, category: type[Warning], *_where: Any, **_more: Any) -> None:
    _tell([f"{category.__name__}: {message}"])


def _tell(parts: list[str]) -> None:
    from beacon_cli.display import paper

    paper.tell(line for part in parts for line in part.rstrip("\n").split("\n"))
