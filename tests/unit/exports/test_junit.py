from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from tests.support.hostile import TEXTS
from tests.support.rows import collection, failed, hostile, joined, row

from beacon_cli.collected import Collection
from beacon_cli.exports.junit import export

CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure"],
    **{name: [] for name in ("property", "failure", "skipped", "system-out", "system-err")},
}
"""What the schemas of Ant, Jenkins and Surefire let an element hold, in their order."""
ATTRIBUTES = {
    "testsuites": ({"name"}, {"tests", "failures", "errors", "time"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "timestamp", "hostname", "id", "package"},
        {"skipped"},
    ),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, set()),
    "failure": ({"type", "message"}, set()),
    "skipped": (set(), {"message"}),
}
"""The attributes that one of them wants, and those that all of them let pass."""
FORMS = {
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "time": r"\d+\.\d{3}",
    **dict.fromkeys(("tests", "failures", "errors", "skipped", "id"), r"\d+"),
}


def parsed(given_collection: Collection) -> ET.Element:
    """The document, held against the schemas."""
    root = ET.fromstring(joined(export(given_collection)))  # noqa: S314 - our own
    _check(root)
    return root


def _check(element: ET.Element) -> None:
    order = CHILDREN[element.tag]
    tags = [child.tag for child in element]
    assert set(tags) <= set(order)
    assert tags == sorted(tags, key=order.index)
    needed, allowed = ATTRIBUTES.get(element.tag, (set(), set()))
    assert needed <= set(element.attrib) <= needed | allowed
    for name, value in element.attrib.items():
        assert re.fullmatch(FORMS.get(name, r"[\s\S]*"), value), name
    for child in element:
        _check(child)


def test_a_suite_for_each_region_and_a_case_for_each_execution() -> None:
    """Regions are suites, in order; what failed is a failure, what was not asked is skipped, with the reason."""
    rows = [
        row(),
        failed(model="m2"),
        failed(region="eu", status="skipped", kind="given_up", started_at=None, seconds=None),
        failed(region="eu", status="cancelled", kind="interrupted", repeat=2, context="formal", seconds=None),
    ]
    root = parsed(collection(*rows, began_at="2026-11-21T19:00:00.500Z"))
    us, eu = root
    assert [suite.get("name") for suite in (us, eu)] == ["us", "eu"]
    counted = ("tests", "failures", "errors", "skipped", "time", "timestamp")
    assert [us.get(name) for name in counted] == ["2", "1", "0", "0", "5.228", "2026-11-21T19:37:41"]
    assert [eu.get(name) for name in counted] == ["2", "0", "0", "2", "0.000", "2026-11-21T19:37:41"]
    assert (root.get("tests"), root.get("failures")) == ("4", "1")
    answered, broken = us.findall("testcase")
    assert (answered.get("classname"), answered.get("name"), len(answered)) == ("us.m1", "q1", 0)
    (failure,) = broken
    assert (failure.get("type"), failure.get("message")) == ("connection", "failed: connection: no route")
    assert "execution_id e1, attempts 1, call_id fc-1" in (failure.text or "")
    given_up, cancelled = eu.findall("testcase")
    assert (given_up[0].tag, given_up[0].get("message")) == ("skipped", "skipped: given_up: no route")
    assert cancelled.get("name") == "q1 (formal) #2"


def test_a_run_that_began_and_asked_nothing() -> None:
    """Without any attempt a suite's time is when the run began, or the oldest time there is."""
    never = failed(status="cancelled", started_at=None)
    assert (
        parsed(collection(never, began_at="2026-11-21T19:00:00.500Z"))[0].get("timestamp") == "2026-11-21T19:00:00"
    )
    assert parsed(collection(never))[0].get("timestamp") == "1970-01-01T00:00:00"
    assert parsed(collection()).get("tests") == "0"


def test_a_rehearsal_is_in_every_name() -> None:
    """A service that shows names alone still shows that it was a rehearsal."""
    root = parsed(collection(row(), rehearsal=True))
    assert (root.get("name"), root[0].get("name")) == ("small (rehearsal)", "us (rehearsal)")


def test_hostile_text_is_no_xml() -> None:
    """Nothing that a name or an error holds is an element, and no character that XML forbids is written."""
    root = parsed(collection(*hostile()))
    assert "<script>alert(1)</script>\"onerror='x'" in {
        case.get("classname", "")[3:] for case in root.iter("testcase")
    } | {
        text
        for failure in root.iter("failure")
        for text in [(failure.get("message") or "").removeprefix("failed: connection: ")]
    } | {(skip.get("message") or "").removeprefix("skipped: connection: ") for skip in root.iter("skipped")}


@given(text=TEXTS)
def test_any_error_and_any_name_can_be_written(text: str) -> None:
    """Whatever was said, the document is XML and of the form."""
    root = parsed(collection(failed(text, region=text or "r"), row(model=text or "m")))
    assert len(list(root.iter("testcase"))) == 2
