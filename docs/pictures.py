"""Draws the pictures of the README from a real rehearsal, and those of a report from made-up answers.

    python docs/pictures.py RUN_FOLDER        # a folder of $BEACON_HOME/runs

Writes docs/images: the live display in the middle of the run, the summary at its end, a report in the terminal and
the head of its page (which takes Chromium). Fonts are the reader's own: nothing is loaded from elsewhere.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI
from rich.text import Text

from beacon_cli import events as ev
from beacon_cli import replay
from beacon_cli.display import picture, summary
from beacon_cli.operations import collecting, reporting
from beacon_cli.report import page, terminal
from beacon_cli.results import Standings
from beacon_cli.runs import Runs
from beacon_cli.settings import Settings

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


def answers() -> Iterator[str]:
    """Made-up answers of two models, of which one refuses more in asia: 40 questions on five container starts."""
    drawn = random.Random(5)  # noqa: S311 - no secret
    places = {"us": "us-east-1", "eu": "europe-west4-a", "asia": "ap-northeast-1"}
    for model in ("llama3.2-1b", "qwen2.5-1.5b"):
        for region, reported in places.items():
            for number in range(40):
                for repeat in range(1, 6):
                    more = 0.35 if model.startswith("qwen") and region == "asia" and number % 4 else 0.0
                    said = f"The accord was signed in {drawn.randrange(1990, 1999)}, and it holds to this day."
                    refused = "I'm sorry, but I can't help with that request."
                    row = {
                        "region": region,
                        "model": model,
                        "question_id": f"border_{number}",
                        "category": "sensitive" if number % 4 else "control",
                        "repeat": repeat,
                        "status": "succeeded",
                        "response": refused if drawn.random() < 0.05 + more else said,
                        "container": f"ta-{model}-{region}-{repeat}",
                        "seconds": 1 + drawn.random(),
                        "rehearsal": True,
                        "provenance": {"modal_region": reported, "revision": "a1", "image": "im-1", "gpu": "T4"},
                    }
                    yield json.dumps(row)


def report() -> None:
    """A report on the made-up answers, in the terminal and as a page."""
    with tempfile.TemporaryDirectory() as folder:
        file, html = Path(folder) / "borders.jsonl", Path(folder) / "report.html"
        file.write_text("\n".join(answers()), encoding="utf-8")
        settings = Settings(home=Path(folder))
        collection = collecting.collect(str(file), Runs(settings.home))
        found = reporting.judged(collection, settings, "borders.jsonl")
        frame = reporting.framed([collection], "beacon export borders.jsonl --format jsonl")
        draw("report", "beacon report borders.jsonl", terminal.report(found, frame, WIDTH))
        html.write_bytes(b"".join(page.page(found, frame)))
        photograph(html, IMAGES / "report-page.png")


def photograph(html: Path, picture: Path) -> None:
    """The head of a page as a browser shows it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1000, "height": 1150})
        shown.goto(html.as_uri())
        shown.screenshot(path=picture)
        browser.close()


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
    report()


if __name__ == "__main__":
    main()
