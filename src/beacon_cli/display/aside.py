"""Catches what else is printed while the live display is on: warnings, a library's words. Knows nothing of runs.

Printed straight to the terminal it would be painted over and leave a piece of the old frame behind.
"""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout

from beacon_cli.display.clean import clean


class Asides(io.TextIOBase):
    """Stands for `sys.stderr`, and for `sys.stdout` on a terminal, between `catch` and `release`."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._begun = ""
        self._caught = ExitStack()

    def catch(self) -> None:
        """From now on what is printed comes here."""
        if sys.stdout.isatty():
            self._caught.enter_context(redirect_stdout(self))
        self._caught.enter_context(redirect_stderr(self))

    def release(self) -> None:
        """The streams are as they were; a line without an end counts as one."""
        self._caught.close()
        if self._begun:
            self.write("\n")

    def write(self, text: str) -> int:
        """Keep whole lines until they are taken."""
        *lines, self._begun = (self._begun + text).split("\n")
        self._lines += [clean(line) for line in lines]
        return len(text)

    def writable(self) -> bool:
        """A stream to print to."""
        return True

    def take(self) -> list[str]:
        """The lines since the last time, clean."""
        taken, self._lines = self._lines, []
        return taken
