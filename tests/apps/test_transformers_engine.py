"""The engine that the containers run, on a model of a few kilobytes. Needs the extra `apps`; CI has it."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support import tiny

from beacon_app.engine import Asked, Made, Refused, Said
from beacon_app.transformers_engine import TransformersEngine

pytestmark = pytest.mark.usefixtures("transformers")

SYSTEM_PROMPT = "you are a helpful assistant ."
WRITTEN = "<user> what is the capital of France ? </s> <assistant>"


class Loaded:
    """An engine with the tiny model."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.engine = TransformersEngine(tiny.CARD)
        self.engine.load(tiny.make(root, **options))
        self.made: Made = self.engine.wake()

    def ask(self, **given: Any) -> Said:
        """Ask it something, whatever is not given."""
        said = {"prompt": "what is the capital of France ?", "max_tokens": 12, "seed": 7, **given}
        return self.engine.generate(Asked(**said))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """One engine for the tests of this file."""
    return Loaded(tmp_path_factory.mktemp("weights"))


def test_the_real_loading_code_says_what_it_loaded(loaded: Loaded) -> None:
    """What is said of the engine is what is there: versions, number format, and no GPU where there is none."""
    import torch
    import transformers as library

    assert loaded.made.engine == "transformers"
    assert library.__version__ in loaded.made.version
    assert torch.__version__ in loaded.made.version
    assert loaded.made.dtype == "float32"
    assert loaded.made.template == hashlib.sha256(tiny.TEMPLATE.encode()).hexdigest()
    assert (loaded.made.gpu is not None) == torch.cuda.is_available()


def test_the_number_format_is_that_of_the_table(tmp_path: Path) -> None:
    """The weights are held in the format that the table names, whatever they were saved in."""
    engine = TransformersEngine(dataclasses.replace(tiny.CARD, dtype="bfloat16"))
    engine.load(tiny.make(tmp_path))
    assert engine.wake().dtype == "bfloat16"


def test_the_same_seed_says_the_same(loaded: Loaded) -> None:
    """A drawn answer is a function of question, settings and seed; other seeds give others."""
    first = loaded.ask(temperature=1.5, seed=3)
    assert loaded.ask(temperature=1.5, seed=3) == first
    assert len({loaded.ask(temperature=1.5, seed=seed).text for seed in range(6)}) > 1


def test_temperature_zero_draws_nothing(loaded: Loaded) -> None:
    """At temperature 0 the seed decides nothing, and `top_p` is no complaint."""
    said = {loaded.ask(temperature=0, seed=seed, top_p=0.5).text for seed in range(4)}
    assert len(said) == 1


def test_the_answer_ends_by_length(loaded: Loaded) -> None:
    """An answer that was cut at `max_tokens` says so, and how many tokens there were."""
    said = loaded.ask(temperature=0, max_tokens=1)
    assert (said.finish_reason, said.tokens) == ("length", 1)
    assert said.prompt_tokens == len(WRITTEN.split())


def test_the_answer_ends_by_itself(loaded: Loaded) -> None:
    """An answer whose model came to its end says `stop`, and the end is no part of the text."""
    said = next(
        said
        for seed in range(200)
        if (said := loaded.ask(temperature=2.0, seed=seed, max_tokens=60)).finish_reason == "stop"
    )
    assert said.tokens < 60
    assert "</s>" not in said.text


def test_a_question_without_room_is_refused(loaded: Loaded) -> None:
    """A prompt that fills what the model can read is refused in words, not cut."""
    with pytest.raises(Refused, match="leave no room"):
        loaded.ask(prompt="what " * tiny.ROOM)


def test_an_answer_takes_what_room_is_left(loaded: Loaded) -> None:
    """A `max_tokens` beyond the model's room is cut to what is left, and the answer says `length`."""
    said = loaded.ask(prompt="what " * (tiny.ROOM - 8), max_tokens=500, temperature=0)
    assert said.prompt_tokens + said.tokens <= tiny.ROOM
    assert said.finish_reason in {"length", "stop"}


@pytest.mark.parametrize(
    ("template", "form"),
    [
        (tiny.TEMPLATE, "template"),
        (tiny.REFUSING, "system_in_question"),
        (tiny.DROPPING, "system_in_question"),
        (None, "plain"),
    ],
)
def test_the_system_prompt_reaches_the_model(
    tmp_path: Path,
    template: str | None,
    form: str,
) -> None:
    """Whatever a tokenizer's template does with a system message, its text is read, and the answer says how."""
    engine = Loaded(tmp_path, template=template)
    without = engine.ask(temperature=0)
    said = engine.ask(temperature=0, system_prompt=SYSTEM_PROMPT)
    assert said.chat == form
    assert said.prompt_tokens - without.prompt_tokens >= len(SYSTEM_PROMPT.split())


def test_no_code_of_a_repository_is_run(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model that asks for code of its own is refused without a question, and the code stays unread."""
    path = tiny.make(tmp_path)
    config = msgspec.json.decode((path / "config.json").read_bytes())
    config |= {"model_type": "foreign", "auto_map": {"AutoConfig": "foreign.Config"}}
    (path / "config.json").write_bytes(msgspec.json.encode(config))
    (path / "foreign.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    with pytest.raises(ValueError, match="contains custom code"):
        TransformersEngine(tiny.CARD).load(path)
    assert "[y/N]" not in capsys.readouterr().out
    assert not (tmp_path / "ran").exists()
