"""A report as one page that needs nothing else: no network, no script but its filters.

The verdicts come first, then what they rest on, then the answers, then how all of it was computed. Its policy
allows nothing but its own style and script, by their hashes. Pure: the same findings give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from beacon_cli.evidence.findings import Findings
from beacon_cli.report import beside, method, overview, verdicts
from beacon_cli.report.frame import Frame
from beacon_cli.report.markup import Html, join, raw, tag
from beacon_cli.report.script import SCRIPT
from beacon_cli.report.style import STYLE

_CONTENTS = (
    ("verdicts", "Verdicts"),
    ("readings", "How the answers read"),
    ("refusals", "Refusals"),
    ("agreement", "Agreement"),
    ("gaps", "Largest gaps"),
    ("controls", "Controls"),
    ("parity", "What else differs"),
    ("compared", "What could be compared"),
    ("timings", "Timings"),
    ("answers", "Answers"),
    ("prompts", "Prompts"),
    ("deployments", "What answered"),
    ("method", "How it was computed"),
)


def page(findings: Findings, frame: Frame) -> Iterator[bytes]:
    """The page in pieces, UTF-8."""
    return (f"{piece}\n".encode() for piece in _pieces(findings, frame))


def _pieces(findings: Findings, frame: Frame) -> Iterator[str]:
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield _head(findings)
    yield "<body>"
    yield tag("a", "Skip to the verdicts", class_="skip", href="#verdicts")
    if findings.rehearsal:
        made_up = "REHEARSAL: every answer on this page is made up"
        yield tag("aside", made_up, class_="made-up", aria_label="Rehearsal")
    yield _opening(findings, frame)
    yield "<main>"
    yield verdicts.verdicts(findings)
    yield overview.heat(findings)
    yield overview.rates(findings)
    yield overview.agreement(findings)
    yield verdicts.gaps(findings)
    yield verdicts.controls(findings)
    yield verdicts.differs(findings)
    yield overview.compared(findings)
    yield overview.timings(findings)
    yield from beside.answers(findings, frame)
    yield method.prompts(findings)
    yield method.deployments(findings)
    yield method.method(findings, frame)
    yield "</main>"
    yield tag("script", raw(SCRIPT))
    yield "</body>"
    yield "</html>"


def _head(findings: Findings) -> Html:
    policy = (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)};"
        " base-uri 'none'; form-action 'none'"
    )
    made_up = "REHEARSAL: " if findings.rehearsal else ""
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{made_up}beacon report: {findings.job}"),
        tag("style", raw(STYLE)),
    )


def _opening(findings: Findings, frame: Frame) -> Html:
    began = [f"{source.name} ({source.began_at})" if source.began_at else source.name for source in frame.sources]
    planned = sum(each.planned for each in findings.survivors)
    size = f"{len(findings.groups)} {findings.axis.value}s, {len(findings.models)} models, {planned:,} executions"
    contents = tag("ul", *(tag("li", tag("a", said, href=f"#{anchor}")) for anchor, said in _CONTENTS))
    return tag(
        "header",
        tag("p", "beacon report", class_="meta"),
        tag("h1", findings.job),
        tag("p", join([", ".join(began), " · ", size]), class_="meta"),
        tag("p", findings.design.question),
        verdicts.notes(findings),
        tag("nav", contents, aria_label="Contents"),
    )


def _hash(inline: str) -> str:
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    return f"'sha256-{digest}'"
