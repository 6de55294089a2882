"""The facts: what happened, in the past tense. Frozen, serialisable; knows `model` alone.

Every event carries `at`, seconds since the epoch. Within one execution the order is always
`AttemptStarted` (the intent, on disk before the remote call), `CallPlaced` (the remote call's id, on disk
before the wait), then one of `AttemptSucceeded`, `AttemptFailed`, `AttemptCancelled`.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec

from beacon_cli import ascii_json
from beacon_cli.model import Failed, JsonObject, Selection, Spec, Succeeded, TimedOut

SCHEMA = 1
"""The version of the journal's form. A journal with a higher number is refused and left untouched."""


def _tag(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=_tag):
    at: float


class RunStarted(_Event, frozen=True, kw_only=True):
    """The first event of every journal; with it alone the whole plan can be made again.

    `planned` counts the executions of each region (by id), `fingerprint` is the hash of sampling and
    target, which must match when the run is resumed, `design` that of what will be asked of the answers (empty in
    journals of before there was one). `job_file` is where the job came from, with `selection`
    the part of it that was asked for: so a resumed run can tell what changed since. `speed` is how many times
    faster than life the provider was played, 1 for a real one (None in journals of before it was kept). With
    `keep_warm` a container of each model lived while its region had its turn. `emulator`: a rehearsal on one that
    was started by itself, and outlives the run.
    """

    run_id: str
    spec: Spec
    planned: dict[str, int]
    fingerprint: str
    rehearsal: bool
    beacon: str
    job_file: str = ""
    selection: Selection = Selection()
    design: str = ""
    speed: float | None = None
    keep_warm: bool = False
    emulator: bool = False
    schema: int = SCHEMA

    @property
    def ends_its_provider(self) -> bool:
        """Whether the provider is played for each process of the run anew, and ends with it."""
        return self.rehearsal and not self.emulator


class RunResumed(_Event, frozen=True, kw_only=True):
    """The run goes on in another process, with what is pending.

    `spec` and `planned` are as they are now: an amended job has more. With `again` what failed or was skipped
    is asked again too. `speed` and `keep_warm` are those of this process; see `RunStarted`.
    """

    run_id: str
    spec: Spec
    planned: dict[str, int]
    beacon: str
    again: bool = False
    speed: float | None = None
    keep_warm: bool = False
    schema: int = SCHEMA


class RegionStarted(_Event, frozen=True, kw_only=True):
    """A region's turn in the queue has come, after `waited` seconds."""

    region: str
    waited: float


class TurnAwaited(_Event, frozen=True, kw_only=True):
    """A region's turn is waited for: `position` in its queue from 1 (0: not in it yet), `reason` what for.

    `starts_at` is when the turn is expected, None where nobody can say. Told when any of it changes much.
    """

    region: str
    position: int
    reason: str
    starts_at: float | None = None


class TurnLost(_Event, frozen=True, kw_only=True):
    """A region's turn ended before its work was done, for this reason.

    `final`: somebody asked for it, and what is pending in the region stays so. Otherwise it goes on after
    another turn.
    """

    region: str
    reason: str
    final: bool = False


class Warming(_Event, frozen=True, kw_only=True):
    """A model's container is being started before the model is asked: by this call, which asks nothing.

    `call_id` is None where it is woken by other means than a call, which nobody can end.
    """

    region: str
    model: str
    call_id: str | None


class Warmed(_Event, frozen=True, kw_only=True):
    """The container serves, `seconds` after that began. `answer` says what it said of itself, in no words."""

    region: str
    model: str
    call_id: str | None
    seconds: float
    answer: Succeeded


class WarmingFailed(_Event, frozen=True, kw_only=True):
    """The model could not be warmed, or was not before the run stopped; its first question starts the container.

    `ended` is False where the call is not known to have ended: it may still run.
    """

    region: str
    model: str
    call_id: str | None
    seconds: float
    failure: Failed | TimedOut
    ended: bool = True


class AttemptStarted(_Event, frozen=True, kw_only=True):
    """An execution has its slot and its call is about to be placed. `attempt` counts from 1.

    `queued_at` is when the execution's turn in its region's order came (for attempt 1) or when its wait ended.
    """

    execution: str
    attempt: int
    region: str
    model: str
    question: str
    context: str | None
    repeat: int
    queued_at: float


class CallPlaced(_Event, frozen=True, kw_only=True):
    """The provider has taken the call and given it an id; from here on it may cost money."""

    execution: str
    attempt: int
    call_id: str


class CallReattached(_Event, frozen=True, kw_only=True):
    """A resumed run waits for the outcome of a call placed before it; nothing is asked anew."""

    execution: str
    attempt: int
    call_id: str


class AttemptSucceeded(_Event, frozen=True, kw_only=True):
    """The answer came, `seconds` after the attempt started or was taken up again. The execution is done."""

    execution: str
    attempt: int
    seconds: float
    answer: Succeeded


class AttemptFailed(_Event, frozen=True, kw_only=True):
    """The attempt failed. It is tried again in `retry_in` seconds; None: the execution failed for good.

    `ended` is False where the call is not known to have ended: it may still run, and a retry waits for it first.
    """

    execution: str
    attempt: int
    seconds: float
    failure: Failed | TimedOut
    retry_in: float | None
    ended: bool = True


class AttemptCancelled(_Event, frozen=True, kw_only=True):
    """The attempt was stopped before it had an outcome: the execution is pending again.

    `ended` is False where the provider did not confirm that the call has ended: it may still run.
    """

    execution: str
    attempt: int
    call_id: str | None
    ended: bool


class OrphanEnded(_Event, frozen=True, kw_only=True):
    """A call that nobody waited for any more is known to have ended: `beacon reap` cancelled it."""

    call_id: str


class RegionPaced(_Event, frozen=True, kw_only=True):
    """From now on `slots` executions may be in flight in the region, for this reason: fewer than before or more.

    The same number as before says that it stays there.
    """

    region: str
    slots: int
    reason: str


class AttemptHeld(_Event, frozen=True, kw_only=True):
    """Up to now the attempt waited for money of the run's budget, before its call was placed."""

    execution: str
    attempt: int


class BudgetNeared(_Event, frozen=True, kw_only=True):
    """Most of the run's budget is spent or reserved: in USD, `reserved` for what is in flight."""

    spent: float
    reserved: float
    limit: float


class RegionGivenUp(_Event, frozen=True, kw_only=True):
    """The breaker opened: the region's remaining executions are skipped, for this reason."""

    region: str
    reason: str


class RegionFinished(_Event, frozen=True, kw_only=True):
    """Every execution of the region has ended or was skipped."""

    region: str


class RunInterrupted(_Event, frozen=True, kw_only=True):
    """Somebody asked the run to stop (`reason`: a signal's name, a time limit)."""

    reason: str


class RunFinished(_Event, frozen=True, kw_only=True):
    """The last event: how many executions ended how, and how many calls may still run.

    `seconds` is the wall time since the run started or, later, was resumed.
    """

    seconds: float
    succeeded: int
    failed: int
    skipped: int
    cancelled: int
    open_calls: int = 0


Event: TypeAlias = (
    RunStarted
    | RunResumed
    | RegionStarted
    | TurnAwaited
    | TurnLost
    | Warming
    | Warmed
    | WarmingFailed
    | AttemptStarted
    | CallPlaced
    | CallReattached
    | AttemptSucceeded
    | AttemptFailed
    | AttemptCancelled
    | OrphanEnded
    | RegionPaced
    | AttemptHeld
    | BudgetNeared
    | RegionGivenUp
    | RegionFinished
    | RunInterrupted
    | RunFinished
)


def to_record(event: Event) -> JsonObject:
    """The event as a mapping of JSON types; `event["event"]` names its kind."""
    record: JsonObject = msgspec.to_builtins(event)
    return record


def from_record(record: Any) -> Event:
    """The event that `to_record` gave. Unknown keys are passed over, so that an older beacon's readers live.

    Raises:
        msgspec.ValidationError: `record` is no event of this version.
    """
    event: Event = msgspec.convert(record, type=Event)
    return event


_encode = json.JSONEncoder(separators=(",", ":")).encode
_OF_NAMES = frozenset({AttemptStarted, CallPlaced})
"""The most frequent events that hold nothing but names, counts and times."""
_decode = msgspec.json.Decoder(Event).decode


def to_line(event: Event) -> bytes:
    """The event as one line of a journal, its newline included: ASCII only, whatever the texts in it hold.

    The standard library's escapes carry lone surrogates, which UTF-8 and msgspec's own encoder cannot.
    """
    told: Any = None
    if type(event) is AttemptSucceeded:
        told = event.answer.provenance
    elif isinstance(event, RunStarted | RunResumed):
        told = event  # with thousands of questions a copy of it in dictionaries takes as much memory as a run
    if type(event) in _OF_NAMES or (told is not None and ascii_json.is_finite(told)):
        line = ascii_json.encoded(event)
        if line is not None:
            return line + b"\n"
    return _encode(to_record(event)).encode("ascii") + b"\n"


def from_line(line: bytes) -> Event:
    """The event that `to_line` gave, in under a microsecond unless its texts hold lone surrogates.

    Raises:
        ValueError: the line is no JSON, as when only a part of it was written.
        msgspec.ValidationError: it is JSON and no event of this version. This is a ValueError as well.
    """
    try:
        event: Event = _decode(line)
    except msgspec.DecodeError:
        # Either it is damaged, or it holds what the fast decoder refuses: the slow one decides.
        return from_record(json.loads(line.decode()))
    return event
