"""Reports for tests: a frame, findings of a small run, and findings of whatever hostile answers there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from tests.support.hostile import CORPUS
from tests.support.stories import found, job, row, story

from beacon_cli import evidence
from beacon_cli.evidence.accuracy import Measured
from beacon_cli.evidence.findings import Findings
from beacon_cli.model import JsonObject
from beacon_cli.report import page
from beacon_cli.report.frame import Frame, Source

ACCURACY = msgspec.json.decode((Path(evidence.__file__).parent / "measured.json").read_bytes(), type=Measured)
FRAME = Frame(
    sources=(Source(name="run", began_at="2026-11-21T19:37:40.000Z", beacon="9"),),
    accuracy=ACCURACY,
    rest="beacon export run --format jsonl",
)
MARKUP = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "<a href='javascript:window.hit=1'>click</a>",
    "</div></article></main><style>*{display:none}</style>",
    "<svg/onload=window.hit=1>",
    "<!-- -->]]><iframe src=//example.invalid></iframe>",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
)
"""What a page would obey if it were not text."""
TEXTS = (*CORPUS.values(), *MARKUP)


def small(**values: Any) -> Findings:
    """A run of 8 questions, 3 regions and 4 container starts in which asia refuses half of what it is asked."""
    spec = job(**values.pop("job", {}))
    return found(story(spec, **values.pop("refusals", {"asia": 0.5})), spec, **values)


def hostile() -> Findings:
    """Answers, errors and names made of what a page or a terminal might obey; a megabyte among them."""
    rows: list[JsonObject] = []
    for number, text in enumerate((*TEXTS, "A word. " * 130_000)):
        question = f"q{number}"
        rows += [
            row("us", question, 1, text, provenance={"gpu": text, "finish_reason": text, "modal_region": text}),
            row("eu", question, 1, "Plain words.", container=text[:100] or None, call_id=text[:100]),
            row("asia", question, 1, None, error={"kind": text[:50], "message": text}),
        ]
    rows += [row("us", text[:200] or "-", 1, "Yes.", model=text[:200] or "-") for text in TEXTS]
    return found(rows, None, job=MARKUP[0], runs=(MARKUP[1],), recompute=f"beacon report {MARKUP[2]}")


def written(findings: Findings) -> str:
    """The whole page."""
    return b"".join(page.page(findings, FRAME)).decode()
