"""Reads a journal back: as events, as standings, as rows of results. Changes nothing.

A record is whole once its newline is there. What follows the last whole record is torn: a crash cut it off while
it was written, nobody was told that it was kept, and it is passed over. Anything else that cannot be read is
damage and an error: a journal is never quietly shorter than it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from beacon_cli.disk import explained
from beacon_cli.errors import StoreError
from beacon_cli.events import (
    SCHEMA,
    AttemptFailed,
    AttemptStarted,
    AttemptSucceeded,
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    from_line,
)
from beacon_cli.model import Execution, JsonObject
from beacon_cli.results import Standings
from beacon_cli.rows import row

_TAIL = 4096
_NOWHERE = -1
_RESUMED = b'{"event":"%s"' % str(RunResumed.__struct_config__.tag).encode()


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event and its place: the line from 1, and the bytes from `start` up to `end`."""

    line: int
    start: int
    end: int
    event: Event


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal holds: the fold, the bytes of its `whole` records, and the `torn` ones after them."""

    standings: Standings
    whole: int
    torn: int


class _Head(msgspec.Struct, frozen=True):
    """What says of a line which kind of record it is, and of which form."""

    event: Any = None
    schema: Any = SCHEMA


class _Mark(msgspec.Struct, frozen=True, gc=False):
    """What says of a record whether it ended an execution, without what the answer was."""

    event: str
    execution: str = ""
    retry_in: float | None = None


_STARTED, _SUCCEEDED, _FAILED = (
    str(kind.__struct_config__.tag) for kind in (AttemptStarted, AttemptSucceeded, AttemptFailed)
)
_decode_mark = msgspec.json.Decoder(_Mark).decode
_decode_head = msgspec.json.Decoder(_Head).decode


def read(path: Path) -> Iterator[Event]:
    """The events of the journal, one by one; a torn tail is passed over.

    Raises:
        StoreError: the file cannot be read, is damaged (the line is named) or comes from a newer beacon.
    """
    return (record.event for record in records(path))


def records(path: Path) -> Iterator[Record]:
    """As `read`, with each event's place in the file."""
    with explained(path), path.open("rb") as file:
        start = 0
        for number, line in enumerate(file, 1):
            if number == 1:
                _check_head(path, line)
            elif line.startswith(_RESUMED):
                _refuse_newer(path, line)
            try:
                event = _event(line)
            except msgspec.ValidationError as error:
                raise _damage(path, number, f"no event of beacon's ({error})") from error
            if event is None:
                if any(_is_whole(later) for later in file):
                    raise _damage(path, number, "no JSON, and whole records follow it")
                return
            end = start + len(line)
            yield Record(line=number, start=start, end=end, event=event)
            start = end


def recover(path: Path) -> Recovered:
    """Read and check the whole journal once: what it says, and where its torn tail begins.

    Raises:
        StoreError: as `read`; also for an event about an execution or a region that was not announced.
    """
    standings, whole = Standings(), 0
    for record in records(path):
        _apply(path, standings, record)
        whole = record.end
    with explained(path):
        torn = path.stat().st_size - whole
    return Recovered(standings=standings, whole=whole, torn=torn)


def ends(path: Path) -> tuple[RunStarted | None, RunFinished | None]:
    """The first and the last event, without what is between: None for one that is not there.

    Raises:
        StoreError: as `read`, as far as these two go.
    """
    with explained(path), path.open("rb") as file:
        first = file.readline()
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    _check_head(path, first)
    try:
        started = _event(first)
    except msgspec.ValidationError as error:
        raise _damage(path, 1, f"no event of beacon's ({error})") from error
    return started if isinstance(started, RunStarted) else None, _finish(tail)


def result_rows(
    path: Path, executions: Iterable[Execution], standings: Standings | None = None
) -> Iterator[JsonObject]:
    """One row for each of `executions`, in their order, as `rows.row` has it.

    The journal is read twice, first for the places of the deciding records and then for these alone, so that no
    more than one answer is in memory. `standings` is its fold, from whoever has it already.

    Raises:
        StoreError: as `recover`; also for a journal without a run.
    """
    if standings is None:
        standings = recover(path).standings
    deciding = _deciding(path, standings.executions)
    if standings.run is None:
        raise StoreError(f"{path}: no run was started here; there are no results")
    with explained(path), path.open("rb") as file:
        for execution in executions:
            yield row(standings, execution, _decision(file, deciding.get(execution.id, _NOWHERE)))


def _deciding(path: Path, executions: Iterable[str]) -> dict[str, int]:
    """Where the record begins that ended each of these executions last, or `_NOWHERE`."""
    places = dict.fromkeys(executions, _NOWHERE)
    start = 0
    with explained(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break  # torn
            try:
                mark = _decode_mark(line)
            except (ValueError, RecursionError):
                mark = _slowly_marked(path, number, line)
            if mark.event == _STARTED:
                places[mark.execution] = _NOWHERE
            elif mark.event == _SUCCEEDED or (mark.event == _FAILED and mark.retry_in is None):
                places[mark.execution] = start
            start += len(line)
    return places


def _slowly_marked(path: Path, number: int, line: bytes) -> _Mark:
    """The mark of a line that only the standard library reads; one that nothing reads tells nothing."""
    try:
        event = _event(line)
    except msgspec.ValidationError as error:
        raise _damage(path, number, f"no event of beacon's ({error})") from error
    if not isinstance(event, AttemptStarted | AttemptSucceeded | AttemptFailed):
        return _Mark(event="")
    retry_in = event.retry_in if isinstance(event, AttemptFailed) else None
    return _Mark(event=str(event.__struct_config__.tag), execution=event.execution, retry_in=retry_in)


def _finish(tail: bytes) -> RunFinished | None:
    """What ends the journal, if that is the end of the run; `tail` holds more than its longest form."""
    _, newline, last = tail.removesuffix(b"\n").rpartition(b"\n")
    if not newline or not tail.endswith(b"\n"):
        return None
    try:
        event = _event(last + b"\n")
    except msgspec.ValidationError:
        return None
    return event if isinstance(event, RunFinished) else None


def _decision(file: BinaryIO, start: int) -> AttemptSucceeded | AttemptFailed | None:
    if start == _NOWHERE:
        return None
    file.seek(start)
    event = from_line(file.readline())
    return event if isinstance(event, AttemptSucceeded | AttemptFailed) else None


def _apply(path: Path, standings: Standings, record: Record) -> None:
    try:
        standings.apply(record.event)
    except KeyError as error:
        raise _damage(path, record.line, f"it speaks of {error}, of which no line before it does") from error


def _event(line: bytes) -> Event | None:
    """The line's event; None where the line is no JSON or lacks its end.

    Raises:
        msgspec.ValidationError: it is whole, and no event.
    """
    if not line.endswith(b"\n"):
        return None
    try:
        return from_line(line)
    except msgspec.ValidationError:  # a ValueError too, but the line is whole
        raise
    except (ValueError, RecursionError):
        return None


def _is_whole(line: bytes) -> bool:
    try:
        return _event(line) is not None
    except msgspec.ValidationError:
        return True


def _check_head(path: Path, line: bytes) -> None:
    """The first line begins a run, and this beacon can read what follows."""
    head = _refuse_newer(path, line)
    if head is not None and head.event != RunStarted.__struct_config__.tag:
        raise _damage(path, 1, "a journal begins with the start of its run")


def _refuse_newer(path: Path, line: bytes) -> _Head | None:
    """How the line's record begins; None if it is no JSON. A newer one may hold anything but says its schema."""
    head = _head(line)
    if head is None:
        return None
    schema = head.schema
    if not isinstance(schema, int) or schema > SCHEMA:
        raise StoreError(
            f"{path}: written by a newer beacon (schema {schema!r}, this one knows {SCHEMA}); "
            "use that version. Nothing was changed"
        )
    return head


def _head(line: bytes) -> _Head | None:
    """What tells a record's kind and form. The rest is passed over: thousands of questions may be in the line."""
    try:
        return _decode_head(line)
    except msgspec.ValidationError:
        return _Head()
    except (ValueError, RecursionError):
        pass
    try:
        return msgspec.convert(json.loads(line.decode()), type=_Head)  # with what only the standard library reads
    except msgspec.ValidationError:
        return _Head()
    except (ValueError, RecursionError):
        return None


def _damage(path: Path, line: int, what: str) -> StoreError:
    return StoreError(f"{path}:{line}: damaged: {what}; put a copy of the file back or begin a new run")
