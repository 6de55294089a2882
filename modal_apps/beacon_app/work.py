"""An ask from its arguments to its answer: what is checked, timed, counted and logged. Knows no Modal.

A failure is an answer too: whoever asked hears why, and pays for one container start, not for a loop of them.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beacon_app import settings, weights
from beacon_app.answer import About, Answer, failure, metrics, success
from beacon_app.engine import Asked, Broken, Engine, Made, Refused
from beacon_app.life import Life
from beacon_app.settings import Card

_SEED_BYTES = 6
"""A seed that nobody gave is small enough to be a whole number in JSON everywhere."""
_SEED_RANGE = range(-(2**63), 2**64)


class Worker:
    """One model in one container: load, wake, then answer.

    `name` is the model as the caller spells it, `cls` the class that was called, `make` makes its engine, `say`
    takes a line for the log, and `retire` asks for no further input: the next one gets a fresh container.
    """

    def __init__(
        self,
        name: str,
        cls: str,
        *,
        make: Callable[[Card], Engine],
        root: Path,
        retire: Callable[[], None],
        say: Callable[[str], None],
        life: Life | None = None,
    ) -> None:
        self._name = name
        self._cls = cls
        self._make = make
        self._root = root
        self._retire = retire
        self._say = say
        self._life = life or Life()
        self._card = settings.card(name)
        self._engine: Engine | None = None
        self._made: Made | None = None
        self._driver: str | None = None
        self._revision = self._card.revision if self._card else ""
        self._fault: str | None = None

    def load(self) -> None:
        """Bring the weights into main memory. What goes wrong is kept, and is every answer until it is mended."""
        loaded = self._life.loading()
        self._attempt(self._load)
        loaded()

    def wake(self) -> None:
        """Bring them onto the GPU. A fault that a snapshot has kept is tried again first."""
        awake = self._life.waking()
        if self._fault is not None:
            self._attempt(self._load)
        if self._fault is None:
            self._attempt(self._wake)
        self._driver = driver()
        awake()

    def generate(self, **given: Any) -> Answer:
        """Answer one question and log its line."""
        clock = self._life.clock
        at = clock()
        about = self._about(at, given)
        try:
            said = self._ready().generate(asked(given, about.drawn_seed))
            answer = success(about, said, seconds=clock() - at)
        except Refused as error:
            answer = failure(about, str(error), seconds=clock() - at)
        except Broken as error:
            answer = failure(about, str(error), seconds=clock() - at)
            self._retire()
        except Exception as error:  # noqa: BLE001 - whatever a model does, whoever asked is told
            answer = failure(about, f"{type(error).__name__}: {error}", seconds=clock() - at)
        finally:
            self._life.finished()
        self._say(metrics(answer))
        return answer

    def health(self) -> Answer:
        """How the container is; waking it is what the call is for."""
        about = self._about(self._life.clock(), {})
        state = failure(about, self._fault, seconds=0.0) if self._fault else success_of_health(about)
        self._life.finished()
        if self._fault:
            self._retire()
        return state

    def _ready(self) -> Engine:
        if self._fault is not None or self._engine is None:
            raise Broken(self._fault or "the model was never loaded")
        return self._engine

    def _load(self) -> None:
        if self._card is None:
            known = ", ".join(card.id for card in settings.MODELS)
            raise Refused(f"there is no model {self._name!r} in this app; it has {known}")
        if not settings.fits(self._card, self._cls):
            gpu = settings.GPU_OF[self._cls]
            raise Refused(f"{self._card.id} needs GPU {self._card.gpu}, and {self._cls} has GPU {gpu}: call Model")
        found = weights.find(self._root, self._card)
        self._revision = found.revision
        engine = self._make(self._card)
        engine.load(found.path)
        self._engine = engine

    def _wake(self) -> None:
        if self._engine is not None:
            self._made = self._engine.wake()

    def _attempt(self, step: Callable[[], None]) -> None:
        self._fault = None
        try:
            step()
        except Refused as error:
            self._fault = str(error)
        except Exception as error:  # noqa: BLE001 - a container that cannot start would be started again and again
            self._fault = f"{self._name} could not be loaded: {type(error).__name__}: {error}"
        if self._fault is not None:
            self._say(f"{self._cls}: {self._fault}")

    def _about(self, at: float, given: dict[str, Any]) -> About:
        life = self._life
        seed = given.get("seed")
        return About(
            model=self._name,
            repository=self._card.repository if self._card else "",
            revision=self._revision,
            where=life.where(),
            made=self._made,
            driver=self._driver,
            cold=life.cold(at),
            restored=life.restored,
            boot=life.boot,
            load=life.load,
            started_at=at,
            seed=seed,
            drawn_seed=int.from_bytes(os.urandom(_SEED_BYTES)) if seed is None and "prompt" in given else None,
            execution_id=given.get("execution_id"),
            attempt=given.get("attempt"),
        )


def success_of_health(about: About) -> Answer:
    """The answer of a container that can answer."""
    state = failure(about, "", seconds=0.0)
    del state["error"], state["inference_time"]
    return {**state, "status": "healthy"}


def asked(given: dict[str, Any], drawn_seed: int | None) -> Asked:
    """The question that the arguments make; `drawn_seed` where they have no seed.

    Raises:
        Refused: one of them is nothing that a model can be asked with.
    """
    prompt = given.get("prompt")
    if type(prompt) is not str or not prompt:
        raise Refused("`prompt` has to be text")
    system_prompt = given.get("system_prompt")
    if system_prompt is not None and type(system_prompt) is not str:
        raise Refused("`system_prompt` has to be text")
    seed = drawn_seed if given.get("seed") is None else given["seed"]
    if type(seed) is not int or seed not in _SEED_RANGE:
        raise Refused("`seed` has to be a whole number of 64 bits")
    most = given.get("max_tokens")
    if most is not None and (type(most) is not int or most < 1):
        raise Refused("`max_tokens` has to be a whole number from 1 on")
    return Asked(
        prompt=prompt,
        system_prompt=system_prompt,
        temperature=_number(given, "temperature", least=0.0, most=2.0),
        max_tokens=settings.MAX_TOKENS if most is None else most,
        seed=seed,
        top_p=_number(given, "top_p", least=0.0, most=1.0),
    )


def _number(given: dict[str, Any], name: str, *, least: float, most: float) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if type(value) not in {int, float} or not math.isfinite(value) or not least <= value <= most:
        raise Refused(f"`{name}` has to be a number from {least:g} to {most:g}")
    return float(value)


def driver() -> str | None:
    """The version of the GPU's driver, None without one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603 - a fixed command
            [program, "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip().partition("\n")[0] or None
