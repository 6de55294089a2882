"""What was asked and what came back: the records that a report's figures are made from. No logic.

Must not know how a figure is computed, nor how it is shown. None always means "not known" or "does not apply",
never 0; durations are seconds; shares go from 0 to 1.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from beacon_cli.evidence.readings import Kind
from beacon_cli.model import JsonObject


class Place(StrEnum):
    """Whether an answer came from where it was asked for, by what the platform reported."""

    CONFIRMED = "confirmed"
    UNVERIFIED = "unverified"
    """The platform said nothing, or a name that is not known."""
    ELSEWHERE = "elsewhere"
    """Another region than the one asked for: the answer is excluded."""


class Exclusion(StrEnum):
    """Why an answer takes no part in the tests."""

    NO_ANSWER = "no_answer"
    """Infrastructure: no answer came. No refusal."""
    EMPTY = "empty"
    TRUNCATED = "truncated"
    """It broke off, or beacon cut it: neither an answer nor a refusal."""
    ELSEWHERE = "elsewhere"
    NO_CONTAINER = "no_container"
    """Nobody knows which container gave it, so it belongs to no unit that could be permuted."""
    NOT_SHARED = "not_shared"
    """Its question was not answered in every group (in a comparison of runs: its cell is not in both)."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What a question looked like to the model (point 3); `region` only where the system prompt differs by region.

    `sha256` is over the UTF-8 of system prompt, a zero byte and text. `rendered` is the chat template filled in,
    if an answer told it.
    """

    question: str
    context: str | None
    region: str | None
    text: str
    system_prompt: str | None
    sha256: str
    rendered: str | None = None


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something that answers of one group and model told of how they came about, each value once, sorted.

    `unknown` is the number of answers that did not tell it.
    """

    name: str
    values: tuple[str, ...]
    unknown: int


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What ran in one group (points 4, 5): revision, dtype, engine, image, GPU, driver, finish reasons, tokens."""

    group: str
    model: str
    facts: tuple[Fact, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of the plan and what came of it (point 6). `text` is hostile, as the model sent it.

    `group` is the region's id, or the run's in a comparison of runs. `excluded` None: it is in the tests.
    """

    execution: str
    run: str
    group: str
    region: str
    model: str
    question: str
    context: str | None
    repeat: int
    category: str
    kind: Kind
    language: str | None
    because: str
    text: str | None
    error: str | None
    """The error's kind, where no answer came."""
    region_reported: str | None
    """The platform's own name of where it ran."""
    cloud: str | None
    place: Place
    container: str | None
    cold: bool | None
    call_id: str | None
    attempts: int
    started_at: str | None
    finished_at: str | None
    seconds: float | None
    finish_reason: str | None
    tokens: int | None
    provenance: JsonObject
    excluded: Exclusion | None


class Survivors(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the planned executions of one group and model (point 2).

    planned = compared + no_answer + empty + truncated + elsewhere + no_container + not_shared. `missing` is the
    share of the planned that gave no usable answer (all but compared, no_container and not_shared). `unverified`
    counts answers, compared or not, whose place nobody confirmed. `containers` are the starts among the compared,
    `effective` how many they count for: as many as would do if each gave as many answers (Kish 1965), (sum n)^2 /
    sum n^2. `foreign` are the containers among them that gave answers of another group too.
    """

    group: str
    model: str
    planned: int
    compared: int
    no_answer: int
    empty: int
    truncated: int
    elsewhere: int
    no_container: int
    not_shared: int
    unverified: int
    missing: float
    containers: int
    effective: float = 0.0
    foreign: int = 0
