"""What a report holds: frozen records without logic, for whoever judges, draws or prints them.

Must not know how a figure is computed, nor how it is shown. Every record is made of JSON types, and every list is
in a fixed order, so that the same answers give the same bytes. Shares and distances go from 0 to 1, gaps from -1
to 1 (a gap of .1 is ten points); durations are seconds. None means "not known" or "does not apply", never 0.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from beacon_cli.evidence.answers import Answer, Deployment, Prompt, Survivors
from beacon_cli.model import JsonObject

SCHEMA = 1
"""The version of this form, in `Findings.schema`; later ones may add fields."""


class Axis(StrEnum):
    """What the groups are: the regions of one run, or two runs held against each other."""

    REGION = "region"
    RUN = "run"


class Outcome(StrEnum):
    """The three verdicts; there is no fourth."""

    DIFFERENCE = "difference"
    NO_DIFFERENCE = "no_difference_larger_than"
    INCONCLUSIVE = "inconclusive"


class Role(StrEnum):
    """What a test is for. Only the primary ones give verdicts."""

    PRIMARY = "primary"
    PAIR = "pair"
    """Two of the groups, after the primary test over all: where a difference lies."""
    SECONDARY = "secondary"
    """Another measure: shown beside, decides nothing."""
    CONTROL = "control"
    """The primary test on the control questions alone."""
    SENSITIVE = "sensitive"
    """The primary test without the control questions."""


class Attribution(StrEnum):
    """What a difference may be called, by what else differs between the groups."""

    REGION = "region"
    """Only the region differs, and everything else is known to be equal: a regional difference."""
    FRAMING = "framing"
    """The prompts differ: the framings are compared, not the places."""
    MODELS = "models"
    """The model or its revision differs."""
    DEPLOYMENT = "deployment"
    """Image, GPU, engine or sampling differs."""
    UNATTRIBUTED = "unattributed"
    """Nothing is known to differ, but not everything is known."""
    RUNS = "runs"
    """Two runs were compared: nobody says why they differ."""


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What was to be asked of the answers, fixed before the first of them (point 1).

    `alpha` is the accepted share of false alarms, `smallest_gap` the smallest difference that matters, both above
    0 and below 1. `container_starts` is how many the job asks for in each region, None if it does not say.
    `registered`: the journal has `hash` before its first execution; else the design was chosen afterwards.
    `declared`: the job has `analysis:`; else these are the defaults.
    """

    question: str
    primary: str
    """The measure of the primary test, a name of `measures.MEASURES` or `rates.RATES`."""
    alpha: float
    smallest_gap: float
    container_starts: int | None
    control_category: str | None
    repeats: int
    hash: str
    """SHA-256 over the canonical JSON of all that shapes the test, as hexadecimal."""
    registered: bool
    declared: bool


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`count` of `of`, as a share with its Wilson interval; with `of` 0 the three are None."""

    name: str
    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers of one group and model read (point 9), over all questions or one category.

    `rates` are in the order of `rates.RATES`; their denominator is the answers and refusals that are not excluded
    for being no answer, empty, truncated or from elsewhere. `kinds` counts every planned execution by its reading,
    in the order of `Kind`.
    """

    group: str
    model: str
    category: str | None
    kinds: dict[str, int]
    rates: tuple[Rate, ...]


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """A mean distance by one measure, over `pairs` of answers to the same question; None without pairs."""

    measure: str
    mean: float | None
    pairs: int


class NoiseFloor(msgspec.Struct, frozen=True, kw_only=True):
    """How much a model's answers vary where nothing differs (point 7): one group, or all (`group` None).

    Over `questions` that were answered `repeats` times or more: `tar_raw` (TARr@N) is the share of which the
    first `repeats` texts are all the same, byte for byte, `tar_answer` (TARa@N) of which they all read the same.
    `within` are the mean distances between answers of different containers of the same group.
    """

    model: str
    group: str | None
    repeats: int
    questions: int
    tar_raw: float | None
    tar_answer: float | None
    within: tuple[Distance, ...]


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """1 - the mean distance between answers of two groups to the same question; of one with itself: its noise."""

    model: str
    measure: str
    first: str
    second: str
    agreement: float | None
    pairs: int


class Starts(msgspec.Struct, frozen=True, kw_only=True):
    """How many containers of a group took part in a test, and the group's mean (of rates; None for distances)."""

    group: str
    containers: int
    mean: float | None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One test and the size of what it looked for (point 8).

    For a rate `gap` is the difference of means of container means, second group minus first; over more than two
    groups that of the two farthest apart. For a distance it is the mean distance between groups minus the mean
    within (`between` and `within` hold both). `low` and `high` bound it at `confidence`; over more than two groups
    `confidence` holds for all pairs at once. `p` permutes whole containers: `exact` over all `permutations`, else
    (1 + k) / (1 + permutations). `p_adjusted` is by `correction` over `family` tests. None: could not be computed.
    """

    role: Role
    model: str
    measure: str
    groups: tuple[str, ...]
    widest: tuple[str, str] | None
    """The two groups that `gap` is of."""
    questions: int
    """Questions (in each context) that were compared: those that all groups answered."""
    questions_planned: int
    answers: int
    gap: float | None
    low: float | None
    high: float | None
    confidence: float
    interval: str
    """How the interval was made: `welch`, `jackknife`, or `none`."""
    between: float | None
    within: float | None
    p: float | None
    p_adjusted: float | None
    correction: str
    family: int
    permutations: int
    exact: bool
    smallest_p: float | None
    """The smallest p that so many containers can give at all."""
    starts: tuple[Starts, ...]
    smallest_detectable: float | None
    """The gap that a test of this size finds in 80 of 100 cases, from the spread seen; None for distances."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something beside the axis that is not the same in all groups: its values by group, sorted."""

    what: str
    values: dict[str, tuple[str, ...]]


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """What else differs between the groups, for one model, and so what a difference may be called.

    `unknown` are things that answers did not tell, so that nobody can say whether they are equal.
    """

    model: str
    attribution: Attribution
    differs: tuple[Difference, ...]
    unknown: tuple[str, ...]
    words: str
    """What a difference of these groups is called: `regional difference` only for `Attribution.REGION`."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one model (point 12). In rehearsal it is marked, and every answer behind it is made up."""

    model: str
    outcome: Outcome
    larger_than: float
    """The X of `no difference larger than X`."""
    sentence: str
    why: tuple[str, ...]
    settle: str
    """What would settle it; empty unless inconclusive."""
    rehearsal: bool


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A question on which two groups differ, exploratory (point 13): no verdict follows from it.

    `gap` is of the primary measure. `p` permutes containers for this question alone, `q` is by Benjamini-Hochberg
    over the `family` questions of this model. The executions are one answer of each group, to lie side by side.
    """

    model: str
    question: str
    context: str | None
    measure: str
    first: str
    second: str
    gap: float
    p: float | None
    q: float | None
    family: int
    first_execution: str
    second_execution: str


class NegativeControl(msgspec.Struct, frozen=True, kw_only=True):
    """The same model over the regions (point 11): `clean` if nothing was found where nothing should be.

    None where the test cannot tell: too few containers, or more than the region differs.
    """

    model: str
    clean: bool | None
    p: float | None
    smallest_detectable: float | None
    sentence: str


class ControlQuestions(msgspec.Struct, frozen=True, kw_only=True):
    """The control questions beside the others (point 10): the primary test on each; None where there are none."""

    model: str
    category: str
    control: Effect | None
    sensitive: Effect | None
    sentence: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a report holds.

    `tests` is how many p-values were computed in all, `seed` that of the permutations (from the design's hash).
    `notes` says what is wrong with the material as a whole, in sentences.
    """

    schema: int
    axis: Axis
    job: str
    runs: tuple[str, ...]
    rehearsal: bool
    interrupted: bool
    """Some planned executions were stopped before they had an outcome."""
    design: Design
    groups: tuple[str, ...]
    models: tuple[str, ...]
    tests: int
    seed: int
    notes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    effects: tuple[Effect, ...]
    survivors: tuple[Survivors, ...]
    rates: tuple[Rates, ...]
    noise: tuple[NoiseFloor, ...]
    agreement: tuple[Agreement, ...]
    parity: tuple[Parity, ...]
    negative_controls: tuple[NegativeControl, ...]
    control_questions: tuple[ControlQuestions, ...]
    gaps: tuple[Gap, ...]
    prompts: tuple[Prompt, ...]
    sampling: JsonObject
    deployments: tuple[Deployment, ...]
    answers: tuple[Answer, ...]
    recompute: str
    """The one command that computes all this again, offline (point 14)."""
