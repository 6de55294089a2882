"""Draws the pictures of the README from a real rehearsal: the live display in its middle, the summary at its end.

    python docs/pictures.py RUN_FOLDER        # a folder of $BEACON_HOME/runs

Writes docs/images/*.svg. Fonts are the reader's own: nothing is loaded from elsewhere.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI
from rich.text import Text

from beacon_cli import events as ev
from beacon_cli import replay
from beacon_cli.display import picture, summary
from beacon_cli.results import Standings

IMAGES = Path(__file__).parent / "images"
WIDTH = 112
MIDDLE = 29
"""Answers after which the live display is drawn."""


def draw(name: str, title: str, content: RenderableType) -> None:
    """One picture as SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(content)
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id=name)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    (IMAGES / f"{name}.svg").write_text(svg, encoding="utf-8")


def main() -> None:
    """Fold the journal up to the middle, and to the end."""
    journal = Path(sys.argv[1]) / "events.jsonl"
    standings = Standings()
    drawn = False
    command = "beacon run jobs/bias-detection.yaml --rehearse"
    for event in replay.read(journal):
        standings.apply(event)
        if not drawn and standings.total("succeeded") >= MIDDLE and isinstance(event, ev.CallPlaced):
            draw("live", command, Text("\n").join(picture.render(standings, event.at + 0.2, WIDTH)))
            drawn = True
    draw("summary", command, summary.summary(standings, WIDTH))


if __name__ == "__main__":
    main()
