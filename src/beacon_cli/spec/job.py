"""The form of a job file: its keys, their kinds and ranges, and what editors say about them.

Must not know where the file is, what the configuration allows, or how one key depends on another: see `checks`.
"""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    RootModel,
    Tag,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from beacon_cli.model import Analysis, BreakerRule, Limits, RetryRule, Schedule, SimulatedTarget
from beacon_cli.spec.values import (
    MOST_AT_ENDPOINTS,
    ArgumentName,
    ByRegion,
    Decimal,
    Duration,
    Flag,
    HeaderName,
    HoursText,
    Json,
    Label,
    MeasureName,
    ScheduleName,
    Text,
    Whole,
    Word,
)
from beacon_cli.templates import ARGUMENT_NAMES

# The vocabulary owns the defaults; they stand here for the editors.
_LIMITS, _RETRY, _BREAKER, _SIMULATED, _ANALYSIS = (
    Limits(),
    RetryRule(),
    BreakerRule(),
    SimulatedTarget(),
    Analysis(),
)

_PLACEHOLDERS = ", ".join(f"{{{name}}}" for name in ARGUMENT_NAMES)


class Part(BaseModel):
    """A mapping of the job file: it knows its keys, and a key with nothing behind it is as good as absent."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: item for key, item in data.items() if item is not None or key not in cls.model_fields}


class ModelPart(Part):
    """A model; its id alone will do."""

    id: Annotated[Label, Field(description="The model's name, as the executor knows it.")]
    regions: Annotated[
        list[Word] | None,
        Field(min_length=1, description="Ask it only there; without this, in all of the job's regions."),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A mapping, or the bare id."""
        return {"anyOf": [handler(core), {"type": ["string", "number", "boolean"]}]}


class QuestionPart(Part):
    """A question."""

    id: Annotated[Label, Field(description="A short name, unique in the job.")]
    text: Annotated[Text, Field(description="What is asked, word for word; braces stay as typed.")]
    category: Annotated[Label | None, Field(description="Questions of one category are compared together.")] = None


class QuestionFilePart(Part):
    """Questions from a file."""

    file: Annotated[
        Text,
        Field(
            description="CSV with a header, JSONL or YAML, of id, category and text; relative to the job file.",
            examples=["questions.csv"],
        ),
    ]


class ContextPart(Part):
    """A framing."""

    id: Annotated[Label, Field(description="A short name, unique in the job.")]
    system_prompt: Annotated[
        Text, Field(description="Takes the place of the job's; {region.place} and {model.id} are filled in.")
    ]


class SamplingPart(Part):
    """How answers are drawn; what is not given is left to the model's own defaults."""

    temperature: Annotated[Decimal | None, Field(ge=0, le=2)] = None
    max_tokens: Annotated[Whole | None, Field(ge=1, le=1_000_000)] = None
    seed: Annotated[
        Whole | None, Field(description="The same seed draws the same answer, where the model can.")
    ] = None
    top_p: Annotated[Decimal | None, Field(gt=0, le=1)] = None


class LimitsPart(Part):
    """What a run may use; may lower what the configuration allows, never raise it."""

    concurrency: Annotated[Whole | None, Field(ge=1, description="Executions in flight over all regions.")] = None
    per_region: Annotated[Whole | None, Field(ge=1, description="Executions in flight in one region.")] = None
    timeout: Annotated[Duration, Field(gt=0, description="How long one attempt may take.")] = _LIMITS.timeout
    run_timeout: Annotated[Duration | None, Field(gt=0, description="How long the whole run may take.")] = None
    answer_bytes: Annotated[
        Whole, Field(ge=1, le=100_000_000, description="A longer answer is cut and marked.")
    ] = _LIMITS.answer_bytes


class RetryPart(Part):
    """When a failed attempt is made again."""

    # 100 attempts and a factor of 100 keep the wait before the last one within a float
    attempts: Annotated[Whole, Field(ge=1, le=100, description="How often at most, the first included.")] = (
        _RETRY.attempts
    )
    first: Annotated[Duration, Field(ge=0, description="The longest wait before the second attempt.")] = (
        _RETRY.first
    )
    factor: Annotated[Decimal, Field(ge=1, le=100, description="Each further wait is so many times longer.")] = (
        _RETRY.factor
    )
    longest: Annotated[Duration, Field(ge=0, description="No wait is longer.")] = _RETRY.longest


class BreakerPart(Part):
    """When a region is given up."""

    failures: Annotated[Whole, Field(ge=1, description="After so many infrastructure failures in a row.")] = (
        _BREAKER.failures
    )


class AnalysisPart(Part):
    """What will be asked of the answers, fixed before the first of them."""

    primary: Annotated[
        MeasureName,
        Field(description="The measure of the one primary test for each model.", examples=["refusals"]),
    ] = _ANALYSIS.primary
    alpha: Annotated[
        Decimal, Field(ge=0.0001, le=0.2, description="The share of false alarms that is accepted.")
    ] = _ANALYSIS.alpha
    smallest_gap: Annotated[
        Decimal, Field(gt=0, le=1, description="The smallest difference that matters: 0.1 is ten points.")
    ] = _ANALYSIS.smallest_gap
    control_category: Annotated[
        Label, Field(description="The category of the questions that should read alike everywhere.")
    ] = _ANALYSIS.control_category
    question: Annotated[Text | None, Field(description="For people: what the primary test is to answer.")] = None


class DesignPart(Part):
    """What a run has to have before a verdict can be given."""

    container_starts: Annotated[
        Whole | None,
        Field(ge=1, le=10_000, description="Container starts of each model in each region; below 4, no verdict."),
    ] = None


class KeepWarmPart(Part):
    """When containers are kept warm, whether a job runs or not: `beacon warm --apply`, from cron."""

    hours: Annotated[HoursText, Field(examples=["Mon-Fri 08:00-18:00 Europe/London"])]
    regions: Annotated[
        list[Word] | None, Field(min_length=1, description="Only there; without this, in all of the job's.")
    ] = None


class ModalPart(Part):
    """What is called on Modal: a function, or a method of a class. Strings may hold placeholders."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["function"]}, {"required": ["cls", "method"]}]},
    )

    app: Annotated[Word, Field(examples=["project-beacon-hf-{region.app}"])]
    function: Word | None = None
    cls: Annotated[Word | None, Field(description="The class; beacon makes an instance with `parameters`.")] = None
    classes: Annotated[
        dict[Label, Word],
        Field(description="The class for models that have another one.", examples=[{"llama3.2-1b": "ModelT4"}]),
    ] = {}
    parameters: dict[ArgumentName, Json] = {}
    method: Word | None = None
    arguments: Annotated[
        dict[ArgumentName, Json],
        Field(
            min_length=1,
            description=f"A value that is one placeholder keeps its type. There are {_PLACEHOLDERS}.",
            examples=[{"prompt": "{prompt}"}],
        ),
    ]

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.function is None) == (self.cls is None):
            raise ValueError("needs either 'function', or 'cls' and 'method'")
        if (self.cls is None) != (self.method is None):
            raise ValueError("'cls' and 'method' need each other; a function has neither")
        if (self.parameters or self.classes) and self.cls is None:
            raise ValueError(
                "'parameters' and 'classes' belong to 'cls'; what a function takes stands in 'arguments'"
            )
        return self


class SimulatedPart(Part):
    """Answers from inside beacon, for trying things out."""

    seed: Whole = _SIMULATED.seed
    speed: Annotated[Decimal, Field(gt=0, le=1_000_000, description="So many times faster than life.")] = (
        _SIMULATED.speed
    )
    cold: Annotated[Flag, Field(description="Whether containers have to start first.")] = _SIMULATED.cold


class RatePart(Part):
    """What an endpoint may be asked in a minute; beacon waits rather than ask for more."""

    requests_per_minute: Annotated[Decimal | None, Field(gt=0, le=10_000_000)] = None
    tokens_per_minute: Annotated[
        Decimal | None, Field(gt=0, le=10_000_000_000, description="Prompt and answer together.")
    ] = None


class OpenaiPart(Part):
    """An OpenAI-compatible endpoint, or one for each region."""

    base_url: Annotated[
        ByRegion,
        Field(
            description="As far as the version; one address, or one for each region.",
            examples=["https://api.example/v1", {"us": "https://us.example/v1"}],
        ),
    ]
    api_key_env: Annotated[
        ByRegion | None,
        Field(description="The environment variable that holds the key; never the key.", examples=["EXAMPLE_KEY"]),
    ] = None
    models: Annotated[dict[Label, Label], Field(description="The endpoint's names for the job's models.")] = {}
    headers: Annotated[
        dict[HeaderName, Text],
        Field(description="Further headers; ${NAME} stands for an environment variable."),
    ] = {}
    stop: Annotated[list[Text], Field(description="An answer ends before any of these.")] = []
    extra: Annotated[dict[Label, Json], Field(description="Further fields of the request, passed on.")] = {}
    rate: RatePart | None = None


class ExecutorPart(Part):
    """Who asks the models: one of these, or an executor of the configuration by its name."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    modal: ModalPart | None = None
    openai: OpenaiPart | None = None
    simulated: SimulatedPart | None = None

    @model_validator(mode="after")
    def _just_one(self) -> Self:
        if sum(part is not None for part in (self.modal, self.openai, self.simulated)) != 1:
            raise ValueError("needs exactly one of 'modal', 'openai' and 'simulated'")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A mapping, or the name of an executor of the configuration."""
        return {"anyOf": [handler(core), {"type": "string", "minLength": 1}]}


def _form(value: Any) -> str:
    return "<file>" if isinstance(value, dict) else "<list>"


QuestionsPart: TypeAlias = Annotated[
    Annotated[list[QuestionPart], Field(min_length=1), Tag("<list>")] | Annotated[QuestionFilePart, Tag("<file>")],
    Discriminator(_form),
]


class QuestionList(RootModel[Annotated[list[QuestionPart], Field(min_length=1)]]):
    """The questions of a file of their own."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)


class Job(Part):
    """A beacon job: the same questions to several models in several regions."""

    id: Annotated[Label, Field(description="The job's name.")]
    description: Text | None = None
    regions: Annotated[
        list[Word],
        Field(
            min_length=1,
            description="By name; the configuration can define more.",
            examples=[["us", "eu", "asia"]],
        ),
    ]
    models: Annotated[list[ModelPart], Field(min_length=1)]
    questions: QuestionsPart
    system_prompt: Annotated[
        Text | None, Field(description="{region.id}, {region.place} and {model.id} are filled in.")
    ] = None
    contexts: Annotated[
        list[ContextPart], Field(description="Framings: each question is asked once in each of them.")
    ] = []
    repeats: Annotated[Whole, Field(ge=1, le=10_000, description="How often each question is asked.")] = 1
    sampling: SamplingPart | None = None
    limits: LimitsPart | None = None
    retry: RetryPart | None = None
    breaker: BreakerPart | None = None
    schedule: Annotated[
        ScheduleName,
        Field(
            description="lockstep: all models finish a question before the next. lanes: each goes on by itself."
        ),
    ] = Schedule.LOCKSTEP
    in_flight: Annotated[
        Whole, Field(ge=1, le=MOST_AT_ENDPOINTS, description="With lanes: so many questions of one at once.")
    ] = 1
    analysis: Annotated[
        AnalysisPart | None, Field(description="What will be asked of the answers; fixed when the run begins.")
    ] = None
    keep_warm: Annotated[KeepWarmPart | None, Field(description="Business hours for `beacon warm --apply`.")] = (
        None
    )
    design: Annotated[DesignPart | None, Field(description="What the run has to have for a verdict.")] = None
    executor: Annotated[ExecutorPart | None, Field(description="Without it: beacon's own apps on Modal.")] = None
    ignore: Annotated[
        list[Word],
        Field(description="Settings that no argument carries, left out with your consent.", examples=[["seed"]]),
    ] = []
