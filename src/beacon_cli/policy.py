"""Who decides: what an outcome means for the execution and for its region. Pure; reads no clock, makes no call."""

from __future__ import annotations

from collections.abc import Callable

from beacon_cli.model import (
    INFRASTRUCTURE,
    BreakerRule,
    Cancelled,
    Decision,
    Done,
    Failed,
    GiveUp,
    Outcome,
    Retry,
    RetryRule,
    Succeeded,
    TimedOut,
)


def after(outcome: Outcome, attempts: int, rule: RetryRule, rand: Callable[[], float]) -> Decision:
    """What to do after `attempts` attempts (from 1) of which the last gave `outcome`.

    The wait is drawn with full jitter, `rand()` from 0 to 1; a provider's `retry_after` is the least wait, also
    beyond `rule.longest`, and is spread upwards by the same draw so that waiters do not come back together.
    """
    match outcome:
        case Succeeded():
            return Done()
        case Cancelled():
            return GiveUp()
        case Failed(transient=False):
            return GiveUp()
        case Failed() | TimedOut():
            if attempts >= rule.attempts:
                return GiveUp()
            backoff = rand() * min(rule.longest, rule.first * rule.factor ** (attempts - 1))
            asked_for = outcome.retry_after if isinstance(outcome, Failed) else None
            return Retry(wait=backoff if asked_for is None else asked_for + backoff)


def is_infrastructure(outcome: Outcome) -> bool:
    """Whether the outcome speaks against the region rather than the model or the question."""
    return isinstance(outcome, TimedOut) or (isinstance(outcome, Failed) and outcome.kind in INFRASTRUCTURE)


class Breaker:
    """Counts a region's executions in a row that failed for good by infrastructure; any other end starts anew."""

    def __init__(self, rule: BreakerRule) -> None:
        self._rule = rule
        self._in_a_row = 0

    def ended(self, outcome: Outcome) -> bool:
        """An execution of the region has ended with `outcome`; True when the region is to be given up."""
        self._in_a_row = self._in_a_row + 1 if is_infrastructure(outcome) else 0
        return self._in_a_row >= self._rule.failures
