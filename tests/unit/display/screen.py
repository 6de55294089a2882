"""A terminal in a few lines: enough of one to see what the live display's bytes leave on the screen."""

from __future__ import annotations

import io
import re

_TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen(io.StringIO):
    """A stream that keeps the lines which its text would show; endlessly high, wide enough for every line.

    With a `width` the cursor stays in the last column after a line that fills it, as terminals have it.
    """

    def __init__(self, width: int | None = None) -> None:
        super().__init__()
        self._width = width
        self.lines: list[str] = [""]
        self.row = 0
        self.column = 0
        self.modes: dict[str, bool] = {}

    def isatty(self) -> bool:
        """A terminal."""
        return True

    def write(self, text: str) -> int:
        """Obey."""
        rest = _TOKEN.sub(self._obey, text)
        assert rest == "", f"not understood: {rest!r}"
        return len(text)

    def shown(self) -> list[str]:
        """The lines above the cursor."""
        return [line.rstrip() for line in self.lines[: self.row]]

    def _obey(self, match: re.Match[str]) -> str:
        private, number, command, move, text = match.groups()
        if text:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + text + line[self.column + len(text) :]
            self.column += len(text)
            if self._width is not None:
                self.column = min(self.column, self._width - 1)
        elif move:
            self.column = 0
            self.row += move == "\n"
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif private:
            self.modes[number] = command == "h"
        elif command == "A":
            self.row = max(0, self.row - int(number))
        elif command == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif command == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        else:
            assert command == "m", f"not understood: {match[0]!r}"
        return ""
