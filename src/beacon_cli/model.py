"""The vocabulary: what every other room talks about. Frozen records; imports nothing of beacon.

Names are those of `docs/glossary.md`. Durations are seconds (float), points in time are seconds since the
Unix epoch (float, UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

JsonObject: TypeAlias = dict[str, Any]
"""A mapping of JSON types, as it came from or goes to a file or a remote function."""


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A place where executions run.

    `app` is the suffix of the region's Modal app (`apac` for `asia`), `place` the name that a prompt may
    use, `modal` the regions that the app asks Modal for, `aliases` other names that mean this region. `health` is
    the address, a template, that wakes a model's container; empty: a call does.
    """

    id: str
    app: str
    place: str
    modal: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    health: str = ""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is asked, in the regions with these ids; None means all of the job's."""

    id: str
    regions: tuple[str, ...] | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is asked, word for word: `text` is never a template."""

    id: str
    text: str
    category: str = ""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A framing: a system prompt that takes the place of the job's. May use placeholders (`{region.place}`)."""

    id: str
    system_prompt: str


class Sampling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How answers are drawn. None means that the job does not set it."""

    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    top_p: float | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may use: executions in flight, over all and in one region; seconds; bytes of one answer.

    `models_at_once` is how many models may have containers in a region at once; None where none are known of.
    """

    concurrency: int = 10
    per_region: int = 3
    timeout: float = 900.0
    run_timeout: float | None = None
    answer_bytes: int = 1_000_000
    models_at_once: int | None = None


class RetryRule(msgspec.Struct, frozen=True, kw_only=True):
    """At most `attempts` tries; before try n+1 a wait drawn from 0 to min(longest, first * factor**(n-1))."""

    attempts: int = 4
    first: float = 2.0
    factor: float = 2.0
    longest: float = 60.0


class BreakerRule(msgspec.Struct, frozen=True, kw_only=True):
    """A region is given up after this many executions in a row failed for good by infrastructure failures."""

    failures: int = 3


class Schedule(StrEnum):
    """`lockstep`: all models finish a question before the next; `lanes`: each model goes on by itself."""

    LOCKSTEP = "lockstep"
    LANES = "lanes"


class Measure(StrEnum):
    """What a test compares: the share of answers that read so, or how far answers are from each other."""

    REFUSALS = "refusals"
    """Hard and soft refusals together."""
    HARD_REFUSALS = "hard_refusals"
    SOFT_REFUSALS = "soft_refusals"
    PARTIAL = "partial"
    SUBSTANTIVE = "substantive"
    EXACT_MATCH = "exact_match"
    EDIT_DISTANCE = "edit_distance"
    TOKEN_JACCARD = "token_jaccard"  # noqa: S105 - a token of text
    CHRF = "chrf"
    LENGTH_RATIO = "length_ratio"


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What will be asked of the answers, fixed before the first of them: the one primary test for each model.

    `alpha` is the accepted share of false alarms; `smallest_gap` the smallest difference that matters (.1 is ten
    points of a rate, or of a distance from 0 to 1); questions of `control_category` should read alike everywhere.
    """

    primary: Measure = Measure.REFUSALS
    alpha: float = 0.05
    smallest_gap: float = 0.1
    control_category: str = "control"
    question: str = ""


class DesignRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many container starts each model is to have in each region; None: the job does not say."""

    container_starts: int | None = None


class KeepWarm(msgspec.Struct, frozen=True, kw_only=True):
    """When `beacon warm --apply` keeps a container of each model: in these hours, in these regions (by id)."""

    hours: str
    regions: tuple[str, ...]


class ModalTarget(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="executor", tag="modal"
):
    """What is called on Modal: a function, or a method of a parametrised class. All strings are templates.

    `classes` gives the class for models (by id) that are not asked through `cls`: a class has one GPU for all.
    """

    app: str
    function: str | None = None
    cls: str | None = None
    classes: dict[str, str] = {}
    parameters: JsonObject = {}
    method: str | None = None
    arguments: JsonObject = {}


class SimulatedTarget(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="executor", tag="simulated"
):
    """An executor inside beacon's own process, for tests and predictions; see `behaviour` for its timings.

    `speed` divides every duration; with `cold` False each container is there already.
    """

    seed: int = 0
    speed: float = 1.0
    cold: bool = True


class Rate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an endpoint may be asked in a minute; None means that nothing is prescribed."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class OpenaiTarget(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="executor", tag="openai"
):
    """An OpenAI-compatible endpoint: one for all regions, or one for each by the region's id.

    `api_key_env` names the environment variable that holds the key, never the key itself; `${NAME}` in the values
    of `headers` stands for such a variable too. `models` gives the endpoint's names for our model ids where they
    differ. `extra` goes into the request's body as it stands.
    """

    base_url: str | dict[str, str]
    api_key_env: str | dict[str, str] | None = None
    models: dict[str, str] = {}
    headers: dict[str, str] = {}
    stop: tuple[str, ...] = ()
    extra: JsonObject = {}
    rate: Rate = Rate()

    def url(self, region: str) -> str:
        """Where the endpoint of this region (by id) is."""
        return self.base_url if isinstance(self.base_url, str) else self.base_url[region]


Target: TypeAlias = ModalTarget | SimulatedTarget | OpenaiTarget


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The job, parsed and validated: every name in it is resolved and every default filled in.

    `regions` are those that are on, in the job's order; `regions_off` the ids that the job names and the
    configuration has switched off. `in_flight` is how many questions a lane has in flight at once. `ignore` names
    settings that no argument carries, with the job's consent. `analysis` None: the defaults, not declared.
    `budget` is what a run may cost, in USD.
    """

    id: str
    regions: tuple[Region, ...]
    models: tuple[Model, ...]
    questions: tuple[Question, ...]
    target: Target
    description: str = ""
    regions_off: tuple[str, ...] = ()
    contexts: tuple[Context, ...] = ()
    system_prompt: str | None = None
    repeats: int = 1
    sampling: Sampling = Sampling()
    limits: Limits = Limits()
    retry: RetryRule = RetryRule()
    breaker: BreakerRule = BreakerRule()
    schedule: Schedule = Schedule.LOCKSTEP
    in_flight: int = 1
    ignore: tuple[str, ...] = ()
    analysis: Analysis | None = None
    design: DesignRule = DesignRule()
    keep_warm: KeepWarm | None = None
    budget: float | None = None


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the command line keeps of a job; empty means all. `limit` keeps the first so many questions."""

    regions: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    limit: int | None = None
    schedule: Schedule | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of region x question x context x model x repeat.

    `id` is derived from the content and stays the same over runs; `system_prompt` is rendered; `repeat`
    counts from 1; `order` is the place in its region's order, from 0.
    """

    id: str
    region: Region
    model: Model
    question: Question
    context: Context | None
    repeat: int
    system_prompt: str | None
    order: int


class PoolStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How the containers of one pool stand at the provider now.

    `alive` containers live (starting, idle and warm ones included) and each holds a GPU; `running` inputs run and
    `backlog` inputs wait.
    """

    alive: int
    running: int
    backlog: int

    @property
    def empty(self) -> bool:
        """No container lives, and no input is there for which one would be started."""
        return not (self.alive or self.running or self.backlog)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How long the containers of a pool stay warm: `seconds` idle, and `min_containers` of them for ever."""

    seconds: int
    min_containers: int = 0


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """How what a pair of region and model calls is deployed; None or empty where the provider does not say.

    `regions` it asks for, `gpus` by their names, `timeout` and `startup_timeout` in seconds, `concurrent` inputs
    that one container takes at once; `window` as it is now.
    """

    regions: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    timeout: float | None = None
    startup_timeout: float | None = None
    concurrent: int = 1
    window: Window | None = None


class ErrorKind(StrEnum):
    """What went wrong with an attempt, in one word; `INFRASTRUCTURE` says which kinds count for the breaker."""

    CONNECTION = "connection"
    """The provider could not be reached or the connection broke."""
    PLATFORM = "platform"
    """The provider took the call and failed it: a container crashed, an internal error."""
    THROTTLED = "throttled"
    """The provider asked for fewer requests."""
    TIMEOUT = "timeout"
    """No answer within the limit."""
    MODEL = "model"
    """The remote code ran and said that it failed."""
    BAD_ANSWER = "bad_answer"
    """An answer came that is not of the agreed form."""
    BAD_REQUEST = "bad_request"
    """The provider refuses the arguments."""
    AUTH = "auth"
    """The provider refuses the credentials."""
    NOT_FOUND = "not_found"
    """The app, function or endpoint is not there."""
    GONE = "gone"
    """The call is no longer known to the provider, or its result has expired."""
    INTERRUPTED = "interrupted"
    """beacon itself stopped it."""
    GIVEN_UP = "given_up"
    """It was not asked, because its region was given up. In results alone, never of an attempt."""


INFRASTRUCTURE = frozenset({ErrorKind.CONNECTION, ErrorKind.PLATFORM, ErrorKind.THROTTLED}) | frozenset(
    {ErrorKind.TIMEOUT, ErrorKind.AUTH, ErrorKind.NOT_FOUND}
)


class Succeeded(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="succeeded"):
    """An answer came. `response` is the text as received, hostile until shown otherwise.

    `cut_from` is the length in UTF-8 bytes of an answer that was longer than `Limits.answer_bytes`;
    `provenance` is what else the answer held, JSON types only; `respite` is for how many seconds after it the
    provider wants no further request.
    """

    response: str
    container: str | None = None
    cold_start: bool | None = None
    cut_from: int | None = None
    respite: float | None = None
    provenance: Mapping[str, Any] = {}


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="failed"):
    """The attempt failed. Only a `transient` failure may be tried again, not before `retry_after` seconds.

    `unsettled` says that the wait failed and not the call: it was placed and may still give its answer.
    """

    kind: ErrorKind
    message: str
    transient: bool
    retry_after: float | None = None
    unsettled: bool = False
    provenance: Mapping[str, Any] = {}


class TimedOut(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="timed_out"):
    """No answer came within `after` seconds."""

    after: float


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="cancelled"):
    """Somebody else cancelled the call: it gave no answer and is not asked again."""

    message: str = ""


Outcome: TypeAlias = Succeeded | Failed | TimedOut | Cancelled


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The execution has its answer."""


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Try again after `wait` seconds."""

    wait: float


class GiveUp(msgspec.Struct, frozen=True, kw_only=True):
    """No further attempt: the execution failed for good."""


Decision: TypeAlias = Done | Retry | GiveUp
