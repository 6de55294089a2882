"""The port of whatever makes text: what it is asked, what it says, and what it can fail with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question. A temperature or `top_p` of None is the model's own; temperature 0 is the likeliest word."""

    prompt: str
    system_prompt: str | None = None
    temperature: float | None = None
    max_tokens: int
    seed: int
    top_p: float | None = None


@dataclass(frozen=True, kw_only=True)
class Said:
    """One answer. `finish_reason`: `stop` (the model ended by itself) or `length`.

    `chat` says how the question was put to the model (see `chat.Form`); `memory_gb` is the most GPU memory that
    was held, in 1e9 bytes, None without a GPU; `queue` the seconds that the engine let the question wait.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    tokens: int
    chat: str
    memory_gb: float | None = None
    queue: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Made:
    """What an engine is: its name and version, the number format of its weights, and the GPU that it runs on.

    `template` is the SHA-256 of the chat template, None where the tokenizer has none.
    """

    engine: str
    version: str
    dtype: str
    template: str | None = None
    gpu: str | None = None


class Refused(Exception):
    """The question cannot be asked of this model: too long, or no text can be made of it. Says why."""


class Broken(Exception):
    """The engine cannot go on; a fresh container could."""


class Engine(Protocol):
    """Makes text with one model, whose weights lie at a path.

    `load` and `wake` are called once each, in this order. A snapshot of the container's memory may be taken
    between them and restored in other containers, so `load` must not look at any GPU, and `wake` must not expect
    the clock, the environment or the random numbers of `load`.
    """

    def load(self, weights: Path) -> None:
        """Bring the weights into main memory."""

    def wake(self) -> Made:
        """Bring them onto the GPU, if there is one."""

    def generate(self, asked: Asked) -> Said:
        """Answer.

        Raises:
            Refused: this question cannot be asked of the model.
            Broken: nothing can be asked of this engine any more.
        """
