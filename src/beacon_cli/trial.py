"""One execution's way to its end: how often it was tried, and what is said of each try. Decides nothing; pure."""

from __future__ import annotations

from dataclasses import dataclass

from beacon_cli import events as ev
from beacon_cli.model import Cancelled, ErrorKind, Execution, Failed, Outcome


@dataclass(kw_only=True)
class Trial:
    """An execution on its way to its end. `tries` are this process's; `number` counts all attempts ever made."""

    execution: Execution
    number: int
    queued_at: float
    call_id: str | None
    """The attempt's call, or one placed earlier whose outcome is still to come."""
    is_found: bool = False
    """Whether the call was placed before this try."""
    tries: int = 0

    def begin(self) -> None:
        """Count one more try: of the call that may still give its answer, else of a new attempt."""
        self.tries += 1
        self.is_found = self.call_id is not None
        self.number += not self.is_found

    def opening(self, at: float) -> ev.CallReattached | ev.AttemptStarted:
        """What is said before the wait begins."""
        execution = self.execution
        if self.call_id is not None:
            return ev.CallReattached(at=at, execution=execution.id, attempt=self.number, call_id=self.call_id)
        return ev.AttemptStarted(
            at=at,
            execution=execution.id,
            attempt=self.number,
            region=execution.region.id,
            model=execution.model.id,
            question=execution.question.id,
            context=execution.context.id if execution.context else None,
            repeat=execution.repeat,
            queued_at=self.queued_at,
        )

    def stopped(self, at: float, *, ended: bool) -> ev.AttemptCancelled:
        """What is said where the wait was stopped; `ended` as of the event."""
        return ev.AttemptCancelled(
            at=at, execution=self.execution.id, attempt=self.number, call_id=self.call_id, ended=ended
        )


def is_lost(outcome: Outcome) -> bool:
    """Whether a call that was taken up again has no answer to give."""
    return isinstance(outcome, Cancelled) or (isinstance(outcome, Failed) and outcome.kind is ErrorKind.GONE)


def lost(call_id: str | None, outcome: Outcome) -> Failed:
    """The failure of such a call, with the provider's words: the execution is asked again."""
    why = f": {outcome.message}" if isinstance(outcome, Failed | Cancelled) and outcome.message else ""
    return Failed(kind=ErrorKind.GONE, message=f"call {call_id} has no answer any more{why}", transient=True)
