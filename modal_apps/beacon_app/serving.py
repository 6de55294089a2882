"""The classes and functions that Modal finds by their names in a container. Thin: `work` does what they say.

No `from __future__ import annotations` here: Modal reads the types of a class's parameters from its annotations,
and has to find types there, not text.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modal
import modal.experimental

from beacon_app import settings, weights
from beacon_app.answer import Answer
from beacon_app.engine import Engine, Refused
from beacon_app.settings import Card
from beacon_app.work import Worker


def engine_for(card: Card) -> Engine:
    """The engine that the table names."""
    if settings.ENGINE == "vllm":
        from beacon_app.vllm_engine import VllmEngine

        return VllmEngine(card)
    from beacon_app.transformers_engine import TransformersEngine

    return TransformersEngine(card)


def new_worker(model: str, cls: str, make: Callable[[Card], Engine] = engine_for) -> Worker:
    """The worker of this container."""
    return Worker(
        model,
        cls,
        make=make,
        root=Path(os.environ.get("BEACON_WEIGHTS", settings.WEIGHTS)),
        retire=modal.experimental.stop_fetching_inputs,
        say=_print,
    )


class Model:
    """One model, on the GPU that every model of the table fits."""

    model: str = modal.parameter()
    worker: Worker

    @modal.enter(snap=True)
    def load(self) -> None:
        """Bring the weights into main memory; a snapshot is taken after this."""
        self.worker = new_worker(self.model, type(self).__name__)
        self.worker.load()

    @modal.enter(snap=False)
    def wake(self) -> None:
        """Bring them onto the GPU; a container that comes from a snapshot begins here."""
        self.worker.wake()

    @modal.method()
    def generate(
        self,
        prompt: str,
        system_prompt: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
        top_p: float | None = None,
        execution_id: str | None = None,
        attempt: int | None = None,
    ) -> Answer:
        """Answer one question."""
        return self.worker.generate(
            prompt=prompt,
            system_prompt=system_prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            top_p=top_p,
            execution_id=execution_id,
            attempt=attempt,
        )

    @modal.method()
    def health(self) -> Answer:
        """How the container is."""
        return self.worker.health()


class ModelT4(Model):
    """One of the models that fit a T4, for less."""

    model: str = modal.parameter()


def run_inference(
    model_name: str, prompt: str, temperature: float = 0.1, max_tokens: int = settings.MAX_TOKENS
) -> Answer:
    """The original system's function: asks the class whose containers suit the model."""
    card = settings.card(model_name)
    if card is None:
        known = ", ".join(each.repository for each in settings.MODELS)
        return _failed(model_name, f"there is no model {model_name!r} in this app; it has {known}")
    cls = modal.Cls.from_name(os.environ["BEACON_APP"], settings.cheapest(card))
    try:
        answer: Answer = cls(model=card.id).generate.remote(
            prompt=prompt, temperature=temperature, max_tokens=max_tokens
        )
    except Exception as error:  # noqa: BLE001 - the original's callers read a mapping, whatever happened
        return _failed(model_name, f"{type(error).__name__}: {error}")
    return {**answer, "model": model_name}


def health() -> dict[str, Any]:
    """That the app is there, and what it serves. Starts no GPU: `Model(...).health()` does."""
    return {
        "status": "healthy",
        "region": os.environ.get("BEACON_REGION", ""),
        "models": [card.id for card in settings.MODELS],
    }


def download(model: str = "") -> dict[str, str]:
    """Bring the weights of one model, or of all, into this region's Volume; what is there is left alone.

    Returns the commit of each. A model that cannot be had is named with the reason, and the others are fetched.
    """
    chosen = [card for card in settings.MODELS if not model or card is settings.card(model)]
    said: dict[str, str] = {} if chosen else {model: "there is no such model in the table"}
    root = Path(os.environ.get("BEACON_WEIGHTS", settings.WEIGHTS))
    for card in chosen:
        try:
            said[card.id] = weights.fetch(root, card).revision
        except Refused as error:
            said[card.id] = str(error)
        except Exception as error:  # noqa: BLE001 - one gated model does not keep the others away
            said[card.id] = f"{type(error).__name__}: {error}"
    modal.Volume.from_name(os.environ["BEACON_VOLUME"]).commit()
    _print(str(said))
    return said


def _failed(model: str, error: str) -> Answer:
    return {"status": "error", "error": error, "model": model, "region": os.environ.get("BEACON_REGION", "")}


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - stdout is the log of a container
