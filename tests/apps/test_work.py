"""An ask in a container, from its arguments to its answer, with an engine that does as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beacon_app import settings, weights
from beacon_app.answer import METRICS
from beacon_app.engine import Asked, Broken, Made, Said
from beacon_app.life import Life
from beacon_app.settings import Card
from beacon_app.work import Worker

LLAMA, MISTRAL = settings.MODELS[0], settings.MODELS[1]
ENVIRONMENT = {
    "BEACON_REGION": "eu",
    "MODAL_REGION": "europe-west4-a",
    "MODAL_CLOUD_PROVIDER": "CLOUD_PROVIDER_GCP",
    "MODAL_TASK_ID": "ta-one",
    "MODAL_IMAGE_ID": "im-1",
    "MODAL_IDENTITY_TOKEN": "a-credential",
    "HF_TOKEN": "hf-credential",
}


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """What it is."""
        return self.now


class Scripted:
    """An engine that takes time, and gives or raises what it is told; remembers what it was asked."""

    def __init__(self, clock: Clock, does: Callable[[Asked], Said]) -> None:
        self._clock = clock
        self._does = does
        self.asked: list[Asked] = []

    def load(self, weights: Path) -> None:
        """Take ten seconds."""
        assert (weights / "beacon-weights.json").exists()
        self._clock.now += 10

    def wake(self) -> Made:
        """Take five seconds."""
        self._clock.now += 5
        return Made(engine="scripted", version="1", dtype="float16", template="f" * 64, gpu="Tesla T4")

    def generate(self, asked: Asked) -> Said:
        """Take three seconds."""
        self._clock.now += 3
        self.asked.append(asked)
        return self._does(asked)


def says(asked: Asked) -> Said:
    """An answer that shows its question."""
    return Said(
        text=f"you asked: {asked.prompt}\nin two lines",
        finish_reason="stop",
        prompt_tokens=4,
        tokens=9,
        chat="template",
        memory_gb=2.5,
    )


class Container:
    """A worker with everything around it, and what it has said to its log and asked of its platform."""

    def __init__(
        self,
        root: Path,
        *,
        model: str = "llama3.2-1b",
        cls: str = "Model",
        does: Callable[[Asked], Said] = says,
        filled: bool = True,
    ) -> None:
        self.clock = Clock()
        self.environ = dict(ENVIRONMENT)
        self.engine = Scripted(self.clock, does)
        self.log: list[str] = []
        self.retired = 0
        self.root = root
        if filled:
            self.fill(LLAMA)
            self.fill(MISTRAL)
        self.life = Life(clock=self.clock, environ=self.environ, began=lambda: 990.0)
        self.worker = Worker(
            model, cls, make=self._make, root=root, retire=self._retire, say=self.log.append, life=self.life
        )

    def start(self) -> Worker:
        """Load and wake."""
        self.worker.load()
        self.worker.wake()
        return self.worker

    def fill(self, card: Card) -> None:
        """Put a model's weights into the Volume."""
        weights.fetch(self.root, card, get=lambda card, _path: card.revision)

    def _make(self, card: Card) -> Scripted:
        assert card.id in {"llama3.2-1b", "mistral-7b"}
        return self.engine

    def _retire(self) -> None:
        self.retired += 1


def test_an_answer_has_the_originals_keys_and_where_it_came_from(tmp_path: Path) -> None:
    """A good answer is complete: what was said, by what, where, and how long each part took."""
    worker = Container(tmp_path).start()
    answer = worker.generate(prompt="hello", temperature=0.1, seed=7, execution_id="e1", attempt=2)
    assert answer == {
        "status": "success",
        "response": "you asked: hello\nin two lines",
        "model": "llama3.2-1b",
        "inference_time": 3.0,
        "region": "eu",
        "tokens_generated": 9,
        "gpu_memory_used": 2.5,
        "finish_reason": "stop",
        "prompt_tokens": 4,
        "chat": "template",
        "repository": LLAMA.repository,
        "model_revision": LLAMA.revision,
        "cloud": "CLOUD_PROVIDER_GCP",
        "modal_region": "europe-west4-a",
        "container": "ta-one",
        "image": "im-1",
        "gpu": "Tesla T4",
        "driver": answer["driver"],
        "engine": "scripted",
        "engine_version": "1",
        "dtype": "float16",
        "cold_start": True,
        "from_snapshot": False,
        "started_at": 1015.0,
        "seconds": {"boot": 10.0, "load": 15.0, "queue": 0.0, "generation": 3.0},
        "chat_template_sha256": "f" * 64,
        "seed": 7,
        "drawn_seed": None,
        "execution_id": "e1",
        "attempt": 2,
    }


def test_no_credential_of_the_environment_is_in_anything_that_goes_out(tmp_path: Path) -> None:
    """Answers, health and log name parts of the environment one by one, and credentials are not among them."""
    container = Container(tmp_path)
    worker = container.start()
    out = [json.dumps(worker.generate(prompt="hello")), json.dumps(worker.health()), *container.log]
    assert not any("credential" in text for text in out)


def test_each_inference_is_one_line_of_the_log_without_texts(tmp_path: Path) -> None:
    """The `[METRICS]` line is JSON on one line: the answer, failed or not, but for what was said."""
    container = Container(tmp_path, does=_first_fails())
    worker = container.start()
    answers = [worker.generate(prompt="a\nb"), worker.generate(prompt="c\nd")]
    assert [answer["status"] for answer in answers] == ["error", "success"]
    assert len(container.log) == 2
    for line, answer in zip(container.log, answers, strict=True):
        mark, _, text = line.partition(" ")
        assert (mark, "\n" in text) == (METRICS, False)
        assert json.loads(text) == {
            key: value for key, value in answer.items() if key not in {"response", "error"}
        }


def test_only_what_waited_for_the_start_is_cold(tmp_path: Path) -> None:
    """The first input of a container is cold if it was waiting; the next are not, nor one that came later."""
    worker = Container(tmp_path).start()
    assert [worker.generate(prompt="hello")["cold_start"] for _ in range(3)] == [True, False, False]
    late = Container(tmp_path)
    worker = late.start()
    late.clock.now += 60
    assert worker.generate(prompt="hello")["cold_start"] is False


def test_a_prewarmed_container_is_warm(tmp_path: Path) -> None:
    """`health` takes the cold start upon itself: it is cold, and the question after it is not."""
    worker = Container(tmp_path).start()
    state = worker.health()
    assert (state["status"], state["cold_start"]) == ("healthy", True)
    assert "error" not in state
    assert worker.generate(prompt="hello")["cold_start"] is False


def test_a_container_from_a_snapshot_counts_its_own_start(tmp_path: Path) -> None:
    """What a snapshot carries over from the container that was photographed is not said of the one restored."""
    container = Container(tmp_path)
    container.worker.load()
    container.environ["MODAL_TASK_ID"] = "ta-two"
    container.clock.now += 3600
    container.worker.wake()
    answer = container.worker.generate(prompt="hello")
    assert answer["container"] == "ta-two"
    assert (answer["from_snapshot"], answer["cold_start"]) == (True, True)
    assert answer["seconds"] == {"boot": None, "load": 5.0, "queue": 0.0, "generation": 3.0}


def test_a_seed_that_nobody_gave_is_drawn_and_said(tmp_path: Path) -> None:
    """Every answer can be asked for again: where the caller gave no seed, the answer names the one it had."""
    container = Container(tmp_path)
    worker = container.start()
    answers = [worker.generate(prompt="hello") for _ in range(2)]
    assert [answer["seed"] for answer in answers] == [None, None]
    seeds = [answer["drawn_seed"] for answer in answers]
    assert seeds == [asked.seed for asked in container.engine.asked]
    assert seeds[0] != seeds[1]
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_what_the_caller_sets_reaches_the_engine(tmp_path: Path) -> None:
    """Settings go to the engine as they were given; the rest is left to the model, but for the length."""
    container = Container(tmp_path)
    worker = container.start()
    worker.generate(prompt="hello", system_prompt="be brief", temperature=0, max_tokens=9, seed=1, top_p=0.5)
    worker.generate(prompt="hello", seed=1)
    assert container.engine.asked == [
        Asked(prompt="hello", system_prompt="be brief", temperature=0.0, max_tokens=9, seed=1, top_p=0.5),
        Asked(prompt="hello", max_tokens=settings.MAX_TOKENS, seed=1),
    ]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": "p", "system_prompt": []}, "system_prompt"),
        ({"prompt": "p", "temperature": "hot"}, "temperature"),
        ({"prompt": "p", "temperature": float("nan")}, "temperature"),
        ({"prompt": "p", "temperature": -1}, "temperature"),
        ({"prompt": "p", "temperature": True}, "temperature"),
        ({"prompt": "p", "top_p": 1.5}, "top_p"),
        ({"prompt": "p", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "p", "max_tokens": 1.5}, "max_tokens"),
        ({"prompt": "p", "seed": "seven"}, "seed"),
        ({"prompt": "p", "seed": 2**64}, "seed"),
    ],
)
def test_arguments_that_make_no_question_are_told(tmp_path: Path, given: dict[str, Any], named: str) -> None:
    """An argument of the wrong kind is an answer that names it, and the container goes on."""
    container = Container(tmp_path)
    worker = container.start()
    answer = worker.generate(**given)
    assert answer["status"] == "error"
    assert f"`{named}`" in answer["error"]
    assert (container.engine.asked, container.retired) == ([], 0)


def test_a_model_that_fails_is_a_value(tmp_path: Path) -> None:
    """What an engine raises is an answer of its own, with provenance; the next question is asked."""
    container = Container(tmp_path, does=_first_fails())
    worker = container.start()
    answer = worker.generate(prompt="hello", execution_id="e1")
    assert (answer["status"], answer["error"]) == ("error", "RuntimeError: nan in the logits")
    assert (answer["execution_id"], answer["engine"], answer["container"]) == ("e1", "scripted", "ta-one")
    assert worker.generate(prompt="hello")["status"] == "success"
    assert container.retired == 0


def test_a_broken_engine_gets_no_more_questions(tmp_path: Path) -> None:
    """After a failure that only a fresh container mends, this one takes no further input."""

    def breaks(_asked: Asked) -> Said:
        raise Broken("the GPU failed")

    container = Container(tmp_path, does=breaks)
    assert container.start().generate(prompt="hello")["error"] == "the GPU failed"
    assert container.retired == 1


def test_a_cancellation_ends_the_call(tmp_path: Path) -> None:
    """What is raised to end a call is no answer: it goes through, and the next question is warm."""

    class Cancelled(BaseException):
        """As Modal raises it."""

    def cancelled(_asked: Asked) -> Said:
        raise Cancelled

    container = Container(tmp_path, does=cancelled)
    worker = container.start()
    with pytest.raises(Cancelled):
        worker.generate(prompt="hello")
    with pytest.raises(Cancelled):
        worker.generate(prompt="hello")
    assert container.log == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"model": "gpt-5"},
            "there is no model 'gpt-5' in this app; it has llama3.2-1b, mistral-7b, qwen2.5-1.5b",
        ),
        (
            {"model": "mistral-7b", "cls": "ModelT4"},
            "mistral-7b needs GPU A10G, and ModelT4 has GPU T4: call Model",
        ),
        (
            {"filled": False},
            "the weights of llama3.2-1b are not in this region's volume: run its app's `download`",
        ),
    ],
)
def test_a_container_that_cannot_serve_says_why(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    """A model that cannot be loaded ends no container in its start: each call is told why."""
    container = Container(tmp_path, **options)
    worker = container.start()
    answer = worker.generate(prompt="hello")
    assert (answer["status"], answer["error"]) == ("error", words)
    assert worker.health()["error"] == words
    assert container.retired == 2


def test_a_snapshot_of_a_fault_heals(tmp_path: Path) -> None:
    """A container that was photographed without weights serves once they are there."""
    container = Container(tmp_path, filled=False)
    container.worker.load()
    container.fill(LLAMA)
    container.worker.wake()
    assert container.worker.generate(prompt="hello")["status"] == "success"


def _first_fails() -> Callable[[Asked], Said]:
    failed: list[Asked] = []

    def does(asked: Asked) -> Said:
        if not failed:
            failed.append(asked)
            raise RuntimeError("nan in the logits")
        return says(asked)

    return does
