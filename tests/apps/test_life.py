"""What a container knows of its own life, and how a question is put to a model; without Modal and torch."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from beacon_app import work
from beacon_app.chat import Form, fingerprint, write
from beacon_app.life import Life, process_began
from beacon_app.settings import CHAT_DATE


class Tokenizer:
    """A tokenizer whose template is a function; remembers what it was given beside the messages."""

    def __init__(self, template: Any) -> None:
        self.chat_template = template
        self.options: dict[str, Any] = {}

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> str:
        """Render."""
        self.options = options
        return str(self.chat_template(conversation))


def whole(messages: list[dict[str, str]]) -> str:
    """A template that has every message in it."""
    return "".join(f"[{message['role']}]{message['content']}" for message in messages)


def test_a_chat_template_tells_every_model_the_same_day() -> None:
    """A template that names a date gets the table's, so that a question reads the same tomorrow."""
    tokenizer = Tokenizer(whole)
    written = write(tokenizer, "question", "system")
    assert (written.text, written.form, written.special) == ("[system]system[user]question", Form.TEMPLATE, False)
    assert tokenizer.options == {"tokenize": False, "add_generation_prompt": True, "date_string": CHAT_DATE}


def test_no_system_prompt_is_no_system_message() -> None:
    """Without a system prompt, or with an empty one, the model reads the question alone."""
    for none in (None, ""):
        written = write(Tokenizer(whole), "question", none)
        assert (written.text, written.form) == ("[user]question", Form.TEMPLATE)


def test_without_a_template_there_is_no_fingerprint() -> None:
    """Two containers without a template have none to compare."""
    assert fingerprint(Tokenizer(None)) is None
    assert fingerprint(Tokenizer("a")) != fingerprint(Tokenizer("b"))


def test_a_fault_in_a_template_is_no_refusal() -> None:
    """What a template raises that is not of its language is a fault, and not hidden behind another form."""

    def broken(_messages: list[dict[str, str]]) -> str:
        raise KeyError("content")

    with pytest.raises(KeyError):
        write(Tokenizer(broken), "question", "system")


def test_a_container_that_never_was_ready_has_no_cold_input() -> None:
    """Before it is ready nothing has waited for its start."""
    assert Life(clock=lambda: 5.0, environ={}, began=lambda: None).cold(5.0) is False


def test_boot_is_unknown_where_the_system_does_not_say() -> None:
    """Unknown is None; a start in the future, or longer ago than a start may take, is unknown too."""
    for began in (None, 50_000.0, 1.0):
        life = Life(clock=lambda: 10_000.0, environ={}, began=lambda began=began: began)  # type: ignore[misc]
        life.loading()()
        life.waking()()
        assert life.boot is None


@pytest.mark.skipif(sys.platform != "linux", reason="containers run on Linux")
def test_the_process_knows_when_it_began() -> None:
    """The start of the process is read from the system, to within a second, and lies in the past."""
    began = process_began()
    assert began is not None
    assert began <= time.time() + 0.1
    assert abs(began - Path(f"/proc/{os.getpid()}").stat().st_ctime) < 3600


def test_the_driver_is_what_the_program_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's version comes from the GPU's own program; without it, or when it fails, there is none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert work.driver() is None
    program = tmp_path / "nvidia-smi"
    for script, said in (("echo 580.95.05; echo 580.95.05", "580.95.05"), ("exit 9", None)):
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        assert work.driver() == said
