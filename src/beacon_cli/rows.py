"""What `results.jsonl` says of each execution: one row, whatever became of it. Pure; reads no clock."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from beacon_cli import ascii_json
from beacon_cli.counts import Progress, RegionStanding, RegionState, State
from beacon_cli.events import AttemptFailed, AttemptSucceeded
from beacon_cli.model import ErrorKind, Execution, Failed, JsonObject, Succeeded, TimedOut
from beacon_cli.moments import utc
from beacon_cli.results import Standings


class Status(StrEnum):
    """How an execution ended, in one word; every execution of a run has exactly one."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Its region was given up before its outcome came."""
    CANCELLED = "cancelled"
    """The run ended before its outcome came."""


def status(standings: Standings, execution: Execution) -> Status:
    """How the execution ended, or would have if the run ended now."""
    progress = standings.executions.get(execution.id)
    match progress.state if progress else None:
        case State.SUCCEEDED:
            return Status.SUCCEEDED
        case State.FAILED:
            return Status.FAILED
        case State.CANCELLED:
            return Status.CANCELLED
    region = standings.regions.get(execution.region.id)
    return Status.SKIPPED if region and region.state is RegionState.GIVEN_UP else Status.CANCELLED


def tally(standings: Standings) -> dict[Status, int]:
    """How many executions of the plan ended how, by the rule of `status`; together they are all of it."""
    parts = [of_region(region) for region in standings.regions.values()]
    return {status: sum(part[status] for part in parts) for status in Status}


def of_region(region: RegionStanding) -> dict[Status, int]:
    """The same of one region: what never began was skipped where it was given up, and else cancelled."""
    rest = region.planned - region.succeeded - region.failed - region.cancelled
    skipped, never = (rest, 0) if region.state is RegionState.GIVEN_UP else (0, rest)
    return {
        Status.SUCCEEDED: region.succeeded,
        Status.FAILED: region.failed,
        Status.SKIPPED: skipped,
        Status.CANCELLED: region.cancelled + never,
    }


def row(
    standings: Standings, execution: Execution, deciding: AttemptSucceeded | AttemptFailed | None
) -> JsonObject:
    """The row of one execution. `deciding` is the newest event that ended it; None if none did.

    `queued_at` is when its turn came, `started_at` to `finished_at` the attempt that decided; what lies between
    the first two went into waiting and the attempts before. `seconds` is how long this process waited for that
    attempt: less where its call was taken up again. `container` and `cold_start` are None where the answer did not
    say; `cut_from` is the full length in bytes of a cut answer.
    """
    run = standings.run
    progress = standings.executions.get(execution.id)
    ended = status(standings, execution)
    if ended not in {Status.SUCCEEDED, Status.FAILED}:
        deciding = None  # it failed, and was to be asked again
    answer = deciding.answer if isinstance(deciding, AttemptSucceeded) else None
    failure = deciding.failure if isinstance(deciding, AttemptFailed) else None
    return {
        "run_id": run.run_id if run else None,
        "job_id": run.spec.id if run else None,
        "execution_id": execution.id,
        "region": execution.region.id,
        "model": execution.model.id,
        "question_id": execution.question.id,
        "context": execution.context.id if execution.context else None,
        "repeat": execution.repeat,
        "status": ended.value,
        "response": answer.response if answer else None,
        "error": _error(standings, execution, ended, failure),
        "attempts": progress.attempts if progress else 0,
        "call_id": progress.call_id if progress else None,
        "container": answer.container if answer else None,
        "cold_start": answer.cold_start if answer else None,
        **_times(progress, deciding),
        "provenance": _provenance(answer or failure),
        "cut_from": answer.cut_from if answer else None,
        "rehearsal": run.rehearsal if run else None,
    }


def to_line(row: JsonObject) -> bytes:
    """The row as a line of `results.jsonl`: ASCII, strict JSON; lone surrogates are kept as escapes.

    A number that JSON does not have (a model may report `NaN`) becomes null.
    """
    line = ascii_json.encoded(row)
    if line is not None:
        return line + b"\n"
    try:
        text = _encode(row)
    except ValueError:
        text = _encode(_finite(row))
    return text.encode("ascii") + b"\n"


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _error(
    standings: Standings, execution: Execution, ended: Status, failure: Failed | TimedOut | None
) -> JsonObject | None:
    match failure:
        case Failed():
            return {"kind": failure.kind.value, "message": failure.message}
        case TimedOut():
            return {"kind": ErrorKind.TIMEOUT.value, "message": f"no answer within {failure.after:g} s"}
    match ended:
        case Status.SKIPPED:
            reason = standings.regions[execution.region.id].reason
            return {"kind": ErrorKind.GIVEN_UP.value, "message": reason}
        case Status.CANCELLED:
            reason = standings.interrupted or "the run ended before its outcome came"
            return {"kind": ErrorKind.INTERRUPTED.value, "message": reason}
    return None


def _times(progress: Progress | None, deciding: AttemptSucceeded | AttemptFailed | None) -> JsonObject:
    return {
        "queued_at": utc(progress.queued_at) if progress else None,
        "started_at": utc(progress.started_at) if progress else None,
        "finished_at": utc(deciding.at) if deciding else None,
        "seconds": deciding.seconds if deciding else None,
    }


def _provenance(outcome: Succeeded | Failed | TimedOut | None) -> Mapping[str, Any]:
    return outcome.provenance if isinstance(outcome, Succeeded | Failed) else {}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
