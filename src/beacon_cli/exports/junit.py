"""JUnit XML, as CI services read it: a suite for each region, a case for each execution.

There is no one standard. What is written keeps to what Jenkins, GitHub's reporters and GitLab have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from beacon_cli.collected import Collection, Row, said
from beacon_cli.exports.visible import visible
from beacon_cli.rows import Status

_MESSAGE = 300
_NEVER = "1970-01-01T00:00:00"


class _Case(msgspec.Struct, frozen=True, gc=False):
    """An execution without its answer."""

    classname: str
    name: str
    seconds: float
    status: str
    kind: str
    why: str
    details: str


class _Suite(msgspec.Struct):
    cases: list[_Case] = []
    began_at: str | None = None

    def count(self, *statuses: Status) -> int:
        return sum(case.status in statuses for case in self.cases)

    @property
    def seconds(self) -> float:
        return sum(case.seconds for case in self.cases)


def export(collection: Collection) -> Iterator[bytes]:
    """The document. Answers stay out of it: CI shows what failed and why."""
    suites: dict[str, _Suite] = {}
    for row in collection.rows():
        suite = suites.setdefault(row["region"], _Suite())
        suite.cases.append(_case(row))
        if row["started_at"] is not None and (suite.began_at is None or row["started_at"] < suite.began_at):
            suite.began_at = row["started_at"]
    return (f"{text}\n".encode() for text in _document(collection, suites))


def _document(collection: Collection, suites: dict[str, _Suite]) -> Iterator[str]:
    label = " (rehearsal)" if collection.rehearsal else ""
    whole = _Suite(cases=[case for suite in suites.values() for case in suite.cases])
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f"<testsuites{_attributes(name=collection.title + label, **_totals(whole))}>"
    for number, (region, suite) in enumerate(suites.items()):
        named = _attributes(
            name=region + label,
            **_totals(suite),
            skipped=suite.count(Status.SKIPPED, Status.CANCELLED),
            timestamp=_timestamp(suite.began_at or collection.began_at),
            hostname=region,
            id=number,
            package=collection.title,
        )
        yield f"  <testsuite{named}>"
        yield "    <properties>"
        for key, value in collection.about().items():
            if value is not None:
                shown = str(value).lower() if isinstance(value, bool) else value
                yield f"      <property{_attributes(name=key, value=shown)}/>"
        yield "    </properties>"
        yield from map(_testcase, suite.cases)
        yield "    <system-out/>" if not label else "    <system-out>rehearsal: answers are made up</system-out>"
        yield "    <system-err/>"
        yield "  </testsuite>"
    yield "</testsuites>"


def _case(row: Row) -> _Case:
    parts = [row["question_id"], *([f"({row['context']})"] if row["context"] is not None else [])]
    if row["repeat"] > 1:
        parts.append(f"#{row['repeat']}")
    details = {name: row[name] for name in ("execution_id", "attempts", "call_id") if row[name] is not None}
    return _Case(
        classname=f"{row['region']}.{row['model']}",
        name=" ".join(parts),
        seconds=float(row["seconds"] or 0.0),
        status=row["status"],
        kind=(row["error"] or {}).get("kind") or row["status"],
        why="" if row["status"] == Status.SUCCEEDED else said(row),
        details=", ".join(f"{name} {value}" for name, value in details.items()),
    )


def _testcase(case: _Case) -> str:
    start = f"    <testcase{_attributes(classname=case.classname, name=case.name, time=_seconds(case.seconds))}"
    why = case.why[:_MESSAGE]
    match case.status:
        case Status.SUCCEEDED:
            return f"{start}/>"
        case Status.FAILED:
            text = escape(visible(f"{case.why}\n{case.details}"))
            return f"{start}><failure{_attributes(type=case.kind, message=why)}>{text}</failure></testcase>"
    return f"{start}><skipped{_attributes(message=why)}/></testcase>"


def _totals(suite: _Suite) -> dict[str, Any]:
    return {
        "tests": len(suite.cases),
        "failures": suite.count(Status.FAILED),
        "errors": 0,
        "time": _seconds(suite.seconds),
    }


def _attributes(**values: object) -> str:
    return "".join(f" {name}={quoteattr(visible(str(value)))}" for name, value in values.items())


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _timestamp(at: str | None) -> str:
    """In UTC, to the second and without a zone: the schemas allow no more."""
    if at is None:
        return _NEVER
    return datetime.fromisoformat(at).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
