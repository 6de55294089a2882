from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.model import (
    BreakerRule,
    Cancelled,
    Done,
    ErrorKind,
    Failed,
    GiveUp,
    Outcome,
    Retry,
    RetryRule,
    Succeeded,
    TimedOut,
)
from beacon_cli.policy import Breaker, after, why_given_up

RULE = RetryRule()
TRANSIENT = Failed(kind=ErrorKind.CONNECTION, message="reset", transient=True)
PERMANENT = Failed(kind=ErrorKind.AUTH, message="no such token", transient=False)


@pytest.mark.parametrize(
    ("outcome", "attempts", "decision"),
    [
        (Succeeded(response="4"), 1, Done()),
        (PERMANENT, 1, GiveUp()),
        (Cancelled(), 1, GiveUp()),
        (TRANSIENT, 1, Retry(wait=2.0)),
        (TRANSIENT, 2, Retry(wait=4.0)),
        (TRANSIENT, 3, Retry(wait=8.0)),
        (TRANSIENT, 4, GiveUp()),
        (TimedOut(after=900.0), 1, Retry(wait=2.0)),
        (TimedOut(after=900.0), 4, GiveUp()),
    ],
)
def test_what_follows_an_outcome(outcome: Outcome, attempts: int, decision: object) -> None:
    """Success is done, what cannot succeed is given up at once, the rest waits 2, 4, 8 s at the longest draw."""
    assert after(outcome, attempts, RULE, lambda: 1.0) == decision


@given(st.integers(1, 99), st.floats(0, 1))
def test_full_jitter(attempts: int, draw: float) -> None:
    """A wait lies between nothing and the back-off, which never exceeds the longest."""
    decision = after(TRANSIENT, attempts, RetryRule(attempts=100), lambda: draw)
    assert isinstance(decision, Retry)
    assert 0 <= decision.wait <= min(60.0, 2.0 * 2.0 ** (attempts - 1))


@given(st.floats(0, 1e6), st.floats(0, 1))
def test_a_provider_that_names_its_wait_gets_it(asked: float, draw: float) -> None:
    """`Retry-After` is the least wait, however long; jitter only adds to it."""
    outcome = Failed(kind=ErrorKind.THROTTLED, message="slow down", transient=True, retry_after=asked)
    decision = after(outcome, 1, RULE, lambda: draw)
    assert isinstance(decision, Retry)
    assert asked <= decision.wait <= asked + 2.0


def test_the_peak_of_retries_is_spread() -> None:
    """50 clients that fail at once and are retried within their back-off: no second has over twice the mean."""
    draws = iter([(n + 0.5) / 50 for n in range(50)])
    waits = [after(TRANSIENT, 3, RULE, lambda: next(draws)) for _ in range(50)]
    by_second = [0] * 8
    for decision in waits:
        assert isinstance(decision, Retry)
        by_second[int(decision.wait)] += 1
    assert max(by_second) <= 2 * 50 / 8


def test_the_breaker_opens_after_failures_in_a_row() -> None:
    """Infrastructure failures in a row open it; a success or a model's own error in between starts anew."""
    breaker = Breaker(BreakerRule(failures=2))
    model_error = Failed(kind=ErrorKind.MODEL, message="CUDA out of memory", transient=True)
    opened = [breaker.ended(outcome) for outcome in (TRANSIENT, model_error, TRANSIENT, Succeeded(response=""))]
    assert opened == [False] * 4
    assert [breaker.ended(outcome) for outcome in (TimedOut(after=1.0), TRANSIENT)] == [False, True]


@pytest.mark.parametrize(
    ("kind", "message", "helps"),
    [
        (ErrorKind.AUTH, f"HTTP 401: {'long words of a provider ' * 9}", "beacon retry"),
        (
            ErrorKind.THROTTLED,
            f"wait 1.5 h, then beacon retry: HTTP 429: {'you have used up ' * 9}",
            "beacon retry",
        ),
    ],
)
def test_what_helps_stands_where_no_line_cuts_it(kind: ErrorKind, message: str, helps: str) -> None:
    """Providers' words are long and lines are cut at a hundred characters: the remedy is before that."""
    why = why_given_up(Failed(kind=kind, message=message, transient=False), BreakerRule(failures=10))
    assert helps in why[:99]
