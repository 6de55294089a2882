"""Measures how well answers are read, on the labelled sample, and writes down what came out.

    python docs/readings.py

Writes src/beacon_cli/evidence/measured.json, which is shipped, and the table of docs/method.md. The held-out half
is for this command alone: whoever writes patterns looks at the other.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec

from beacon_cli import wiring
from beacon_cli.evidence import accuracy
from beacon_cli.evidence.accuracy import ALL, REFUSAL, Accuracy, Labelled, Measured, Share
from beacon_cli.evidence.languages import LANGUAGES
from beacon_cli.evidence.readings import Kind
from beacon_cli.settings import Settings

ROOT = Path(__file__).parents[1]
SAMPLE = tuple(ROOT / "tests" / "data" / name for name in ("readings.jsonl", "readings_held_out.jsonl"))
"""The development half, and the half that is held out."""
MEASURED = Path(str(resources.files("beacon_cli.evidence").joinpath("measured.json")))
PAGE = Path(__file__).with_name("method.md")
START, END = "<!-- made by docs/readings.py -->\n", "<!-- end -->\n"

_NAMES = {ALL: "all", "en": "English", "zh": "Chinese", "fr": "French", "de": "German", "es": "Spanish"}
_HALVES = {"dev": "development", "held_out": "held out"}


def measured() -> Measured:
    """The sample, read with the shipped patterns and no others."""
    lines = [line for half in SAMPLE for line in half.read_bytes().splitlines()]
    sample = [msgspec.json.decode(line, type=Labelled) for line in lines]
    return accuracy.measure(sample, wiring.reader(Settings(home=Path())))


def encoded(found: Measured) -> bytes:
    """What is shipped."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def table(found: Measured) -> str:
    """The table for people: refusals by language, every kind over all languages."""
    lines = ["| half | language | category | precision | recall |", "|---|---|---|---|---|"]
    for half in _HALVES:
        lines += [_row(found, half, language, REFUSAL) for language in (ALL, *LANGUAGES)]
        lines += [_row(found, half, ALL, kind.value) for kind in Kind if kind is not Kind.INFRASTRUCTURE]
    return "\n".join(lines) + "\n"


def page(text: str, found: Measured) -> str:
    """The page with its table made anew."""
    before, _, rest = text.partition(START)
    return before + START + "\n" + table(found) + "\n" + END + rest.partition(END)[2]


def _row(found: Measured, half: str, language: str, category: str) -> str:
    (one,) = (each for each in found.accuracy if _key(each) == (half, language, category))
    name = "refusal, hard or soft" if category == REFUSAL else category.replace("_", " ")
    return f"| {_HALVES[half]} | {_NAMES[language]} | {name} | {_shown(one.precision)} | {_shown(one.recall)} |"


def _key(each: Accuracy) -> tuple[str, str, str]:
    return each.half, each.language, each.category


def _shown(share: Share) -> str:
    if share.share is None or share.low is None or share.high is None:
        return "no answer"
    return f"{share.hits} of {share.of}: {share.share:.0%} ({share.low:.0%} to {share.high:.0%})"


if __name__ == "__main__":
    result = measured()
    MEASURED.write_bytes(encoded(result))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")
