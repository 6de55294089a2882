"""Whatever the material, each report is readable, and none gives a verdict that it cannot bear."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from tests.support.reports import FRAME, hostile, written
from tests.support.stories import found, job, row, story

from beacon_cli.evidence.findings import Findings
from beacon_cli.report import document, markdown, terminal


def cases() -> dict[str, tuple[Findings, str]]:
    """The findings of each, and what the report has to say."""
    spec = job()
    whole = story(spec, asia=0.5)
    uneven = [each if each["region"] != "eu" or each["repeat"] > 1 else {**each, **_GONE} for each in whole]
    return {
        "nothing at all": (found([], None), "There is no answer to compare."),
        "no answers": (found([{**each, **_GONE} for each in whole], spec), "There is no answer to compare."),
        "one region": (found([each for each in whole if each["region"] == "us"], spec), "one region alone"),
        "one model, one question": (found([row("us", "q0", 1), row("eu", "q0", 1)], None), "it takes 4 to tell"),
        "interrupted": (found(uneven, spec, interrupted=True), "Not every execution has its outcome"),
        "unequal survivors": (found(uneven, spec), "lacks 25.0 % of its answers"),
        "no containers": (found([{**each, "container": None} for each in whole], spec), "which containers gave"),
        "all elsewhere": (
            found(
                [
                    {**each, "provenance": {"modal_region": "us-east-1"}}
                    for each in whole
                    if each["region"] != "us"
                ],
                spec,
            ),
            "another region than the one asked for",
        ),
        "all empty": (found([{**each, "response": "EMPTY"} for each in whole], spec), "empty"),
        "all cut off": (found([{**each, "response": "CUT"} for each in whole], spec), "cut off"),
        "hostile": (hostile(), "INCONCLUSIVE"),
    }


_GONE = {
    "response": None,
    "status": "cancelled",
    "container": None,
    "error": {"kind": "interrupted", "message": ""},
}


@pytest.mark.parametrize("name", list(cases()))
def test_a_report_that_is_true_and_readable(name: str) -> None:
    """Terminal, page, Markdown and JSON say what is wrong, and every verdict is inconclusive."""
    findings, said = cases()[name]
    console = Console(file=io.StringIO(), width=100, markup=False, emoji=False, highlight=False)
    console.print(terminal.report(findings, FRAME, 100))
    assert isinstance(console.file, io.StringIO)
    assert said in " ".join(console.file.getvalue().split())
    page = written(findings)
    assert page.endswith("</html>\n")
    assert said.lower() in page.lower()
    assert markdown.summary(findings).startswith("### beacon report: ")
    verdicts = json.loads(document.document(findings, FRAME))["verdicts"]
    assert {each["verdict"] for each in verdicts} <= {"inconclusive"}
    assert "regional difference:" not in page
