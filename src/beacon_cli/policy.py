"""Who decides: what an outcome means for the execution and for its region. Pure; reads no clock, makes no call."""

from __future__ import annotations

from collections.abc import Callable

from beacon_cli.model import (
    INFRASTRUCTURE,
    BreakerRule,
    Cancelled,
    Decision,
    Done,
    ErrorKind,
    Execution,
    Failed,
    GiveUp,
    Outcome,
    Rate,
    Retry,
    RetryRule,
    Sampling,
    Succeeded,
    TimedOut,
)

_ENDED: dict[ErrorKind | None, tuple[str, str]] = {
    ErrorKind.AUTH: ("were refused for their credentials", " (renew them, then: beacon retry)"),
    ErrorKind.THROTTLED: ("were throttled", ""),
}
"""How executions ended for which a region is given up, and what helps; of other kinds no more is known."""
_BY_INFRASTRUCTURE = ("failed for good by infrastructure", "")
_ANSWER_TOKENS = 500
"""What an answer is taken to be where the job sets no `max_tokens`."""
_CHARACTERS_OF_A_TOKEN = 4
_NARROWEST, _WIDEST = 0.1, 10.0
"""Seconds between two requests of a region that is asked for less than one at a time."""
_CLOSER, _CLOSER_AT_LAST, _MANY = 0.9, 0.8, 6
"""What an answer leaves of that time, and what it does after so many in a row: about seven answers a refusal."""
_TELLING = 5.0
"""Seconds of respite from which on it is told."""
_LONGEST_DEBT = 900.0
"""Seconds that one answer's tokens can hold the next question back, beyond what was reckoned with."""


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


def why_given_up(last: Outcome, rule: BreakerRule) -> str:
    """Why a region is given up whose last execution ended so, and what helps where that is known."""
    why = "timed out" if isinstance(last, TimedOut) else getattr(last, "message", "")
    kind = last.kind if isinstance(last, Failed) else None
    ended, remedy = _ENDED.get(kind, _BY_INFRASTRUCTURE)
    # The remedy first: providers' words are long, and a line is cut at its end.
    return f"{rule.failures} executions in a row {ended}{remedy}, the last one: {why}"


class Pace:
    """How many executions a region may have in flight.

    `most`, until the provider asks for fewer requests: then half, and one more after each round of answers. While
    the provider fails by itself, it stays as it is. Where one at a time is too fast still, `between` is the time
    from one request to the next, in seconds: twice as long each time, and shorter with each answer.
    """

    def __init__(self, most: int) -> None:
        self.most = self.allowed = most
        self.between = self._last = 0.0
        self._begun = self._slowed_at = self._answered = 0
        self._stays = False

    def begin(self) -> int:
        """Count one more attempt; gives its number, by which `ended` knows what was in flight together."""
        self._begun += 1
        return self._begun

    def reserve(self, now: float) -> float:
        """Take the next turn that is free; gives when it is, on the clock of `now`."""
        self._last = max(now, self._last + self.between)
        return self._last

    def ended(self, number: int, outcome: Outcome) -> str:
        """The attempt with this number ended with `outcome`; why the pace changes or stays. Empty: nothing to say.

        Attempts that were in flight when it was slowed say the same as the one that slowed it: they count once.
        """
        match outcome:
            case Failed(kind=ErrorKind.THROTTLED):
                return self._slow() if number > self._slowed_at else ""
            case Failed(kind=ErrorKind.PLATFORM) if self.allowed < self.most:
                told, self._stays, self._answered = self._stays, True, 0
                return "" if told else "the provider fails: no faster for now"
            case Succeeded() if self.allowed < self.most:
                return self._quicken()
        return ""

    def _slow(self) -> str:
        self._slowed_at = self._begun
        self._answered = 0
        if self.allowed == 1:
            self.between = min(_WIDEST, max(_NARROWEST, 2 * self.between))
            return f"the provider asks for fewer requests: one every {self.between:.2g} s"
        self.allowed = max(1, self.allowed // 2)
        return "the provider asks for fewer requests"

    def _quicken(self) -> str:
        if self.between:
            self._answered += 1
            self.between *= _CLOSER if self._answered <= _MANY else _CLOSER_AT_LAST
            if self.between < _NARROWEST / 2:
                self.between, self._answered = 0.0, 0
            return ""
        self._answered += 1
        if self._answered < self.allowed:
            return ""
        self._answered = 0
        self._stays = False
        self.allowed += 1
        return "a round of answers"


def _respite(outcome: Outcome) -> float | None:
    """For how many seconds whoever gave this outcome wants no further request, of whatever execution."""
    match outcome:
        case Succeeded(respite=seconds):
            return seconds
        case Failed(kind=ErrorKind.THROTTLED, retry_after=seconds):
            return seconds
    return None


class Meter:
    """When an endpoint may be asked next: evenly within its rate, and not before it wants to be asked again.

    Points in time are seconds of one clock, whichever it is.
    """

    def __init__(self, rate: Rate, sampling: Sampling) -> None:
        self._between = 60.0 / rate.requests_per_minute if rate.requests_per_minute else 0.0
        self._for_token = 60.0 / rate.tokens_per_minute if rate.tokens_per_minute else 0.0
        self._answer = sampling.max_tokens or _ANSWER_TOKENS
        self._next = self._next_by_tokens = 0.0
        self.open_at = 0.0

    @property
    def is_free(self) -> bool:
        """Whether nothing has been prescribed or asked for so far."""
        return not (self._between or self._for_token or self.open_at)

    def reserve(self, now: float, execution: Execution, *, again: bool = False) -> float:
        """Take the next turn that is free; gives when it is, `now` where nothing is prescribed.

        `again` says that a turn was taken before and passed in a time when the endpoint wanted no request.
        """
        at = max(now, self.open_at, self._next, self._next_by_tokens)
        if self._between:
            self._next = at + self._between
        if self._for_token and not again:
            self._next_by_tokens = at + self._for_token * self._tokens(execution)
        return at

    def ended(self, clock: Callable[[], float], execution: Execution, outcome: Outcome) -> str:
        """Learn from an outcome how many tokens it took, and how long the provider wants to be left alone.

        Gives the latter in words, empty where it is nothing new or not worth telling.
        """
        told, respite = "", _respite(outcome)
        if respite:
            until = clock() + respite
            if respite >= _TELLING and until >= self.open_at + _TELLING:
                told = f"the provider wants no request for {respite:.0f} s"
            self.open_at = max(self.open_at, until)
        if self._for_token and isinstance(outcome, Succeeded):
            usage = outcome.provenance.get("usage")
            used = usage.get("total_tokens") if isinstance(usage, dict) else None
            if isinstance(used, int) and used >= 0:
                more = self._for_token * (used - self._tokens(execution))
                self._next_by_tokens += min(more, _LONGEST_DEBT)  # what an endpoint counts is hearsay
        return told

    def _tokens(self, execution: Execution) -> float:
        """About how many tokens a question and its answer take."""
        text = len(execution.question.text) + len(execution.system_prompt or "")
        return text / _CHARACTERS_OF_A_TOKEN + self._answer
