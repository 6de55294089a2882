r"""The machine's display: one JSON object a line on stdout, as `--json` promises.

The first line is `run_started` (`run_resumed` where a run goes on), the last `run_finished` with the counts;
between them each event as `events.to_record` gives it, answers included, in the order of the journal. The first
says ids and counts in the place of the whole job::

    {"event": "run_started", "at": 1790000000.0, "run_id": "…", "job_id": "…", "executions": 72,
     "planned": {"us": 24, …}, "models": ["…"], "questions": ["…"], "contexts": [], "repeats": 1,
     "schedule": "lockstep", "concurrency": 10, "beacon": "0.1.0", "schema": 1, "rehearsal": true,
     "fingerprint": "…"}

A resumed run has `again` (what failed is asked again too) in the place of `rehearsal` and `fingerprint`.
`at` is seconds since the epoch. Every line is ASCII: whatever an answer holds is written as JSON's `\u` escapes.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import IO, Self

from beacon_cli.display.outlet import Outlet
from beacon_cli.events import Event, RunResumed, RunStarted, to_record
from beacon_cli.model import JsonObject
from beacon_cli.results import Standings


class JsonLines:
    """A `Display` for programs. A reader that is far behind is waited for: no line is left out."""

    def __init__(self, stream: IO[str]) -> None:
        self._outlet = Outlet(stream)

    @property
    def failure(self) -> Exception | None:
        """Why the display went quiet; None while all is well."""
        return self._outlet.failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._outlet.finish()

    async def handle(self, event: Event, standings: Standings) -> None:  # noqa: ARG002  the port's form
        """Write the event's line."""
        self._outlet.write(line(event))
        await self._outlet.room()


def line(event: Event) -> str:
    """The event as one line of ASCII, with its line end."""
    record = to_record(event)
    if isinstance(event, RunStarted | RunResumed):
        record = _opening(event, record)
    try:
        text = json.dumps(record, allow_nan=False)
    except (ValueError, RecursionError):
        # What a model sent beside its answer is no JSON after all, or nested beyond reading: the answer counts.
        for part in record.values():
            if isinstance(part, dict):
                part.pop("provenance", None)
        text = json.dumps(record)
    return text.replace("\x7f", "\\u007f") + "\n"


def _opening(event: RunStarted | RunResumed, record: JsonObject) -> JsonObject:
    spec = event.spec
    own: JsonObject = {key: record[key] for key in ("rehearsal", "again", "fingerprint") if key in record}
    return {
        "event": record["event"],
        "at": event.at,
        "run_id": event.run_id,
        "job_id": spec.id,
        "executions": sum(event.planned.values()),
        "planned": dict(event.planned),
        "models": [model.id for model in spec.models],
        "questions": [question.id for question in spec.questions],
        "contexts": [context.id for context in spec.contexts],
        "repeats": spec.repeats,
        "schedule": spec.schedule.value,
        "concurrency": spec.limits.concurrency,
        "beacon": event.beacon,
        "schema": event.schema,
        **own,
    }
