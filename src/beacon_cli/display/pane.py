"""A picture on a terminal that is drawn again over itself, for whoever watches. Knows nothing of what it shows.

As the live display, each frame goes out in one piece and leaves the terminal in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from rich.console import RenderableType
from rich.text import Text

from beacon_cli.display import paper
from beacon_cli.display.clean import excerpt
from beacon_cli.display.live import repaint
from beacon_cli.display.strokes import BAD, FAINT


class Pane:
    """What is painted on this stream; a reader that goes away closes it."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = paper.console(stream)
        self._painted: tuple[str, ...] = ()
        self._width = 0
        self.is_closed = False

    def paint(self, draw: Callable[[int], RenderableType], trouble: str = "") -> None:
        """Draw what `draw` gives for the width, cut where the height ends; with what went wrong under it."""
        width, height = self._console.size
        room = max(1, height - 1 - bool(trouble))
        lines = self._encoded(draw(width), width)
        if len(lines) > room:
            more = Text(f"and {len(lines) - room + 1} more lines: make the terminal higher", FAINT)
            lines = [*lines[: room - 1], *self._encoded(more, width)]
        if trouble:
            lines += self._encoded(Text(excerpt(trouble, width), BAD, no_wrap=True), width)
        # A terminal of another width has wrapped what stood there: nothing of it can be kept.
        keep = width == self._width
        self._write(repaint(self._painted, lines, keep=keep))
        self._painted, self._width = tuple(lines), width

    def _encoded(self, picture: RenderableType, width: int) -> list[str]:
        with self._console.capture() as capture:
            self._console.print(picture, width=width)
        return [line.rstrip() for line in capture.get().split("\n")[:-1]]

    def _write(self, text: str) -> None:
        try:
            self._console.file.write(text)
            self._console.file.flush()
        except (OSError, ValueError):
            paper.give_up(self._console.file)
            self.is_closed = True
