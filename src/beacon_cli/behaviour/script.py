"""Ordered failures: a script of rules says which calls go wrong, and how. Pure; a JSON mapping makes one.

{"rules": [{"effect": "unreachable", "region": "asia"},
           {"effect": "model_error", "model": "mistral*", "attempts": [1, 2]},
           {"effect": "hang", "question": "*Taiwan*", "probability": 0.2, "stubborn": true}]}
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from beacon_cli.behaviour.timing import Asked, draw
from beacon_cli.priming import prime


class Effect(StrEnum):
    """What goes wrong. The first two refuse the call; in all others the call is taken and has an id."""

    UNREACHABLE = "unreachable"
    """The provider cannot be reached for this call."""
    THROTTLED = "throttled"
    """The provider asks for fewer requests, and to come back after `amount` seconds where that is not 0."""
    PLATFORM = "platform"
    """The provider fails the call with an internal error after its service time; the container dies."""
    MODEL_ERROR = "model_error"
    """The function answers `status: error` with `message`."""
    RAISES = "raises"
    """The remote code raises the built-in exception named `value` (default RuntimeError) with `message`."""
    HANG = "hang"
    """No answer ever comes; the call runs until it is cancelled or reaches its own time limit."""
    SLOW = "slow"
    """The answer takes `amount` seconds longer (before the speed is applied)."""
    BAD_ANSWER = "bad_answer"
    """The function returns `value` as it stands (default: a list)."""
    HUGE = "huge"
    """The answer is `amount` bytes long (default 5,000,000)."""
    PREEMPTED = "preempted"
    """The container is taken away after `amount` seconds and the same call starts again in a new one."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ordered failure. Patterns are shell-style (`*`, `?`, `[ab]`) and None matches everything.

    `question` is held against the question's id and its text. `attempts` and `calls` are inclusive ranges that
    count from 1: the number of the attempt, and the number of the call among all that match the other fields. Of
    the calls that match, the share `probability` is hit, drawn by what they ask. `stubborn` calls ignore a gentle
    cancellation. `amount`, `value` and `message` mean what the effect says.
    """

    effect: Effect
    region: str | None = None
    model: str | None = None
    question: str | None = None
    attempts: tuple[int, int] | None = None
    calls: tuple[int, int] | None = None
    probability: float = 1.0
    stubborn: bool = False
    amount: float = 0.0
    value: Any = msgspec.UNSET
    message: str = ""

    def matches(self, asked: Asked) -> bool:
        """Whether the rule speaks of this call, leaving `calls` and `probability` aside."""
        return (
            (self.region is None or fnmatchcase(asked.region, self.region))
            and (self.model is None or fnmatchcase(asked.model, self.model))
            and (
                self.question is None
                or fnmatchcase(asked.question, self.question)
                or fnmatchcase(asked.prompt, self.question)
            )
            and (self.attempts is None or self.attempts[0] <= asked.attempt <= self.attempts[1])
        )


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ordered failures; the first rule that hits a call decides over it."""

    rules: tuple[Rule, ...] = ()


prime(Script)


def load(text: str | bytes) -> Script:
    """The script in a JSON text.

    Raises:
        ValueError: it is no JSON, or not of a script's form (msgspec says which field).
    """
    return msgspec.json.decode(text, type=Script)


class Director:
    """Follows a script over the calls of one provider: counts them for the rules that ask for it."""

    def __init__(self, script: Script, seed: int) -> None:
        self._rules = script.rules
        self._seed = seed
        self._matched = [0] * len(script.rules)

    def order(self, asked: Asked) -> Rule | None:
        """The rule that hits this call, which is now counted; None: it goes well."""
        hit = None
        for place, rule in enumerate(self._rules):
            if not rule.matches(asked):
                continue
            self._matched[place] += 1
            if hit is None and self._hits(place, rule, asked):
                hit = rule
        return hit

    def _hits(self, place: int, rule: Rule, asked: Asked) -> bool:
        if rule.calls is not None and not rule.calls[0] <= self._matched[place] <= rule.calls[1]:
            return False
        if rule.probability >= 1:
            return True
        drawn = draw(self._seed, "rule", place, asked.region, asked.model, asked.prompt, asked.key, asked.attempt)
        return drawn < rule.probability
