"""Answers as they were collected, by a run of beacon or elsewhere: rows of the form of `results.jsonl`. Pure.

Checks what a file says line by line. Must not know where lines come from, nor what is made of the rows: exports
and reports alike go through a `Collection`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from beacon_cli.errors import Fault, SpecError
from beacon_cli.model import JsonObject, Question, Spec
from beacon_cli.names import quoted
from beacon_cli.rows import Status

Row: TypeAlias = Mapping[str, Any]
"""One line of `results.jsonl`: every documented field, in the documented order; unknown ones after them."""

LONGEST_LINE = 64 * 2**20
"""A line of more bytes than this is refused: an answer is no larger than a megabyte unless a job says so."""

_DEEPEST = 100
"""Provenance nested deeper than this is refused: what it is written with would not come back out of it."""
_LONG = 2**63


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """Answers that can be gone through as often as needed, always in the same order.

    `title` is the job's id, or the name of the file that they were read from. `rehearsal`: answers among them are
    made up. Of a run, `began_at` is when it began (ISO 8601), `beacon` the version that carried it out,
    `interrupted` what stopped it, `sampling` how answers were drawn, `questions` what was asked, by id, and
    `prompts()` gives each execution's system prompt by the execution's id, `spec` is the job, and `design` the
    hash of what would be asked of the answers, as it stood in the journal before the first; none of that is known
    of answers collected elsewhere.
    """

    title: str
    rows: Callable[[], Iterator[Row]]
    run_id: str | None = None
    job_id: str | None = None
    rehearsal: bool = False
    began_at: str | None = None
    beacon: str | None = None
    interrupted: str | None = None
    sampling: Mapping[str, float | int] = {}
    questions: Mapping[str, Question] = {}
    prompts: Callable[[], Mapping[str, str]] = dict
    spec: Spec | None = None
    design: str = ""

    def about(self) -> JsonObject:
        """What is known of the whole, for the head of a file; JSON types only."""
        return {
            "job_id": self.job_id,
            "run_id": self.run_id,
            "rehearsal": self.rehearsal,
            "began_at": self.began_at,
            "interrupted": self.interrupted,
            "beacon": self.beacon,
        }


def read(lines: Iterable[bytes], file: str) -> Iterator[Row]:
    """The rows of a results file, each checked; blank lines are passed over.

    Needed are `region`, `model`, `question_id`, `status`, and `response` where that is `succeeded`; what else is
    left out becomes null (`repeat` 1, `attempts` 0, `provenance` empty).

    Raises:
        SpecError: a line is not of the form, or is about an execution that an earlier line is about; it is named.
    """
    seen: dict[tuple[Any, ...], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _checked(line, number, file)
        same = seen.setdefault(tuple(row[name] for name in _CELL), number)
        if same != number:
            raise _fault(file, number, f"the same execution as in line {same}: each has one line")
        yield row


def gathered(rows: Callable[[], Iterator[Row]], name: str) -> Collection:
    """All rows that came from the file called `name`, gone through once for what they have in common.

    Raises:
        SpecError: as `read`.
    """
    runs: set[str | None] = set()
    jobs: set[str | None] = set()
    rehearsal = False
    for row in rows():
        runs.add(row["run_id"])
        jobs.add(row["job_id"])
        rehearsal = rehearsal or row["rehearsal"] is True
    job = jobs.pop() if len(jobs) == 1 else None
    return Collection(
        title=job or name,
        rows=rows,
        run_id=runs.pop() if len(runs) == 1 else None,
        job_id=job,
        rehearsal=rehearsal,
    )


def said(row: Row) -> str:
    """What an execution without an answer says of it: its status, the kind of its error and the message."""
    error = row["error"] or {}
    return ": ".join([str(row["status"]), *(error[key] for key in ("kind", "message") if error.get(key))])


def _checked(line: bytes, number: int, file: str) -> Row:
    if len(line) > LONGEST_LINE:
        raise _fault(file, number, f"longer than {LONGEST_LINE:,} bytes")
    try:
        value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise _fault(file, number, "no UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise _fault(file, number, "no JSON") from error
    if not isinstance(value, dict):
        raise _fault(file, number, f"{_kind(value)} where a JSON object has to be")
    for name in _REQUIRED:
        if name not in value:
            raise _fault(file, number, "missing", key=name)
    row = {name: value.get(name, _DEFAULTS.get(name)) for name in _FORM}
    for name, (fits, expected) in _FORM.items():
        if not fits(row[name]):
            raise _fault(file, number, f"has to be {expected}, not {_kind(row[name])}", key=name)
    answered = row["status"] == Status.SUCCEEDED
    if answered is not (row["response"] is not None):
        wrong = "has to be a text" if answered else f"has to be null where the status is {row['status']}"
        raise _fault(file, number, wrong, key="response")
    return {**row, **{name: each for name, each in value.items() if name not in row}}


def _fault(file: str, line: int, message: str, *, key: str = "") -> SpecError:
    return SpecError((Fault(file=file, message=message, line=line, key=key),))


def _kind(value: object) -> str:
    """A value in a few words, safe to print."""
    match value:
        case None:
            return "null"
        case str():
            return quoted(value)
        case bool() | int() | float():
            return quoted(json.dumps(value))
        case list():
            return "a list"
    return "an object"


def _no_number(_: str) -> None:
    """`NaN` and `Infinity` are no JSON, but many write them: they become null, as in beacon's own results."""


def _name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _flag(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _status(value: object) -> bool:
    return isinstance(value, str) and value in list(Status)


def _count(least: int, *, below: int = 2**31) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value < below


def _bytes(value: object) -> bool:
    return value is None or _count(0, below=_LONG)(value)


def _seconds(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value < _LONG and math.isfinite(value)


def _time(value: object) -> bool:
    if value is None:
        return True
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).timestamp() >= 0
    except (ValueError, OverflowError):
        return False


def _error(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(_text(value.get(key)) for key in ("kind", "message")))


def _provenance(value: object) -> bool:
    return isinstance(value, dict) and not _deep(value)


def _deep(value: object) -> bool:
    layer: list[Any] = [value]
    for _ in range(_DEEPEST):
        layer = [
            inner
            for each in layer
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True


_NAME = (_name, "a text that is not empty")
_TEXT = (_text, "a text or null")
_FLAG = (_flag, "true, false or null")
_TIME = (_time, "a time as 2026-11-21T19:37:43.614Z, or null")

_FORM: dict[str, tuple[Callable[[object], bool], str]] = {
    "run_id": _TEXT,
    "job_id": _TEXT,
    "execution_id": _TEXT,
    "region": _NAME,
    "model": _NAME,
    "question_id": _NAME,
    "context": _TEXT,
    "repeat": (_count(1), "a whole number from 1"),
    "status": (_status, "one of " + ", ".join(Status)),
    "response": _TEXT,
    "error": (_error, "an object with the texts kind and message, or null"),
    "attempts": (_count(0), "a whole number from 0"),
    "call_id": _TEXT,
    "container": _TEXT,
    "cold_start": _FLAG,
    "queued_at": _TIME,
    "started_at": _TIME,
    "finished_at": _TIME,
    "seconds": (_seconds, "a number of seconds from 0, or null"),
    "provenance": (_provenance, f"an object nested no deeper than {_DEEPEST}"),
    "cut_from": (_bytes, "a whole number from 0, or null"),
    "rehearsal": _FLAG,
}
"""Each field, in the order of `rows.row`: whether a value fits, and what would."""

FIELDS = tuple(_FORM)
"""The documented fields, in their order."""

_REQUIRED = ("region", "model", "question_id", "status")
_DEFAULTS: JsonObject = {"repeat": 1, "attempts": 0, "provenance": {}}
_CELL = ("run_id", "region", "model", "question_id", "context", "repeat")
"""What makes an execution what it is, within a run."""
