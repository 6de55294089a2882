"""The one table: every region, model, GPU, window and version. Change something here, then deploy again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model that the apps serve.

    `id` is its short name in jobs, `revision` the full commit of its repository. `gpu` is the smallest that holds
    it with room for a conversation; `dtype` is the same on every GPU, so that regions differ by place alone.
    `gated`: the Hugging Face account has to have accepted its licence.
    """

    id: str
    repository: str
    revision: str
    gpu: str
    dtype: str
    gated: bool


MODELS: Final = (
    Card(
        id="llama3.2-1b",
        repository="meta-llama/Llama-3.2-1B-Instruct",
        revision="9213176726f574b556790deb65791e0c5aa438b6",
        gpu="T4",
        dtype="float16",  # a T4 has no bfloat16 of its own
        gated=True,
    ),
    Card(
        id="mistral-7b",
        repository="mistralai/Mistral-7B-Instruct-v0.3",
        revision="c170c708c41dac9275d15a8fff4eca08d52bab71",
        gpu="A10G",
        dtype="bfloat16",
        gated=True,
    ),
    Card(
        id="qwen2.5-1.5b",
        repository="Qwen/Qwen2.5-1.5B-Instruct",
        revision="989aa7980e4cf806f80c7fef2b1adb7bc71aa306",
        gpu="T4",
        dtype="float16",
        gated=False,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A region: `app` is the end of its app's name, `regions` what Modal is asked for.

    `routing` is where inputs go through, None for Modal's own choice (us-east). Notes on the option, a beta in
    2026, say that a function routed elsewhere cannot be called with `.spawn()`, as beacon calls, and that
    the first deployment fixes it: leave it alone unless Modal has changed that.
    """

    id: str
    app: str
    regions: tuple[str, ...]
    routing: str | None = None


PLACES: Final = (
    Place(id="us", app="us", regions=("us-east", "us-west")),
    Place(id="eu", app="eu", regions=("eu-west", "eu-north")),
    Place(id="asia", app="apac", regions=("ap-southeast", "ap-northeast")),
)

APP: Final = "project-beacon-hf-{app}"
VOLUME: Final = "beacon-weights-{app}"

GPU_OF: Final[Mapping[str, str]] = {"Model": "A10G", "ModelT4": "T4"}
"""The GPU of each class: a class has one. `Model` serves every model, `ModelT4` those that fit a T4, for less."""

MEMORY_GB: Final[Mapping[str, int]] = {"T4": 16, "L4": 24, "A10G": 24, "L40S": 48, "A100-40GB": 40, "H100": 80}

MEMORY_MB: Final[Mapping[str, int]] = {"Model": 16_384, "ModelT4": 8_192}
"""Main memory that each class asks for: its largest model passes through it on the way to the GPU."""

ENGINE: str = "transformers"
"""`transformers`, one question at a time; or `vllm`, `INPUTS` at once."""

INPUTS: Final = 8
"""With vLLM: how many inputs a container takes at once."""

WAITING: Final = 100
"""How many callers of the original's `run_inference` one container without a GPU waits for."""

TIMEOUT: Final = 900
"""Seconds that one input may take."""

STARTUP_TIMEOUT: Final = 900
"""Seconds that a container may take to start. The original's Asian containers took over six minutes."""

SCALEDOWN_WINDOW: Final = 300
"""Seconds that a container stays warm with nothing to do.

The original had 120, and its analysis named that as the cause of frequent cold starts and proposed 1800. Between
two questions a container waits for the slowest model of its region, whose cold start took 30 to 90 s: 300 covers
that and a retry, and a container that nobody needs costs 5 minutes, not 30. For the length of a job it can be
changed through the autoscaler; Modal takes 2 to 3600.
"""

MAX_CONTAINERS: Final = 1
"""For each model: a parametrised class scales by itself for each value of its parameter."""

RETRIES: Final = 0
"""beacon alone decides what is tried again."""

DOWNLOAD_TIMEOUT: Final = 3600

MAX_TOKENS: Final = 500
"""Where the caller says nothing; the original's default."""

CHAT_DATE: Final = "26 Jul 2024"
"""The day that a chat template may tell its model: Llama 3.2 would read another prompt every day."""

PYTHON: Final = "3.12"
PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "transformers": ("torch==2.13.0", "transformers==5.23.0"),
    "vllm": ("vllm>=0.11",),
}
"""What the image holds for each engine. vLLM brings a torch and a transformers of its own."""

SECRET_VARIABLE: Final = "BEACON_HF_SECRET"  # noqa: S105 - the name of a variable that holds the name of a secret
"""Set while deploying: the name of the Modal secret with `HF_TOKEN`, which gated models need to be downloaded."""

WEIGHTS: Final = "/weights"
"""Where the Volume stands in a container."""


def place(name: str) -> Place:
    """The region of that id, or of that end of an app's name.

    Raises:
        ValueError: there is none.
    """
    for each in PLACES:
        if name in {each.id, each.app}:
            return each
    raise ValueError(f"no region {name!r}; there are {', '.join(each.id for each in PLACES)}")


def card(name: str) -> Card | None:
    """The model of that short name or repository, whatever the case."""
    wanted = name.casefold()
    return next((each for each in MODELS if wanted in {each.id.casefold(), each.repository.casefold()}), None)


def fits(model: Card, cls: str) -> bool:
    """Whether a class's GPU holds the model."""
    return MEMORY_GB[model.gpu] <= MEMORY_GB[GPU_OF[cls]]


def cheapest(model: Card) -> str:
    """The class with the smallest GPU that holds the model."""
    fitting = [cls for cls in GPU_OF if fits(model, cls)]
    return min(fitting, key=lambda cls: MEMORY_GB[GPU_OF[cls]])
