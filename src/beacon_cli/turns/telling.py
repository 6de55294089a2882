"""What a run does under its turns, told to the store as the run's events come.

So whoever comes after a crash knows which calls to end, and which executions failed for good.
"""

from __future__ import annotations

from collections.abc import Mapping

from beacon_cli import events as ev
from beacon_cli.counts import Progress
from beacon_cli.model import Failed, TimedOut
from beacon_cli.results import Standings
from beacon_cli.tickets import FailedExecution
from beacon_cli.turns.holding import HeldTurn


async def tell(event: ev.Event, standings: Standings, held: Mapping[str, HeldTurn], run_id: str) -> None:
    """Tell the turn in which it happened, of those that are `held` (by region), if it is one of them."""
    turn = held.get(_region(event, standings))
    if turn is None:
        return
    match event:
        case ev.Warming() | ev.Warmed() | ev.WarmingFailed():
            await _warming(turn, event)
        case ev.AttemptStarted():
            await turn.begin(event, event.model, event.question)
        case ev.CallReattached():
            progress = standings.executions[event.execution]
            await turn.begin(event, progress.model, progress.question)
            await turn.placed(event.call_id)
        case ev.CallPlaced():
            await turn.placed(event.call_id)
        case ev.AttemptSucceeded() | ev.AttemptFailed() | ev.AttemptCancelled():
            _ended(turn, event, standings.executions[event.execution], run_id)


_OF_EXECUTIONS = (
    ev.CallReattached,
    ev.CallPlaced,
    ev.AttemptSucceeded,
    ev.AttemptFailed,
    ev.AttemptCancelled,
)


def _region(event: ev.Event, standings: Standings) -> str:
    """Where it happened; empty for what happened nowhere."""
    if isinstance(event, _OF_EXECUTIONS):
        return standings.executions[event.execution].region
    return getattr(event, "region", "")


async def _warming(turn: HeldTurn, event: ev.Warming | ev.Warmed | ev.WarmingFailed) -> None:
    if event.call_id is None:
        return
    if isinstance(event, ev.Warming):
        await turn.placed(event.call_id)
    elif isinstance(event, ev.Warmed) or event.ended:
        turn.settled(event.call_id)


def _ended(
    turn: HeldTurn,
    event: ev.AttemptSucceeded | ev.AttemptFailed | ev.AttemptCancelled,
    progress: Progress,
    run_id: str,
) -> None:
    may_run = isinstance(event, ev.AttemptFailed | ev.AttemptCancelled) and not event.ended
    has_failed = isinstance(event, ev.AttemptFailed) and event.retry_in is None
    has_succeeded = isinstance(event, ev.AttemptSucceeded)
    call_id = None if may_run else progress.call_id
    turn.finished(event.execution, call_id, for_good=has_failed or has_succeeded)
    turn.succeeded += has_succeeded
    if isinstance(event, ev.AttemptFailed) and has_failed:
        turn.failed += 1
        kind, message = _reason(event)
        turn.failures[event.execution] = FailedExecution(
            run_id=run_id,
            execution=event.execution,
            region=turn.region.id,
            model=progress.model,
            question=progress.question,
            kind=kind,
            message=message,
            at=event.at,
        )


def _reason(event: ev.AttemptFailed) -> tuple[str, str]:
    match event.failure:
        case TimedOut(after=after):
            return "timeout", f"no answer within {after:g} s"
        case Failed(kind=kind, message=message):
            return kind.value, message
