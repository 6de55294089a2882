"""From system prompt and question to what a model reads, by the template of its own tokenizer. Pure.

The rule, and the word for it in each answer (`chat`):

* `template`: the tokenizer's template, with a system message where a system prompt was given;
* `system_in_question`: the template refuses a system message, or drops its text: the system prompt stands before
  the question in the user's message, with an empty line between;
* `plain`: the tokenizer has no template: system prompt, empty line, question; the model completes that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

from beacon_app.settings import CHAT_DATE


class Form(StrEnum):
    """How a question is put to a model."""

    TEMPLATE = "template"
    SYSTEM_IN_QUESTION = "system_in_question"
    PLAIN = "plain"


class Tokenizer(Protocol):
    """What is needed of a tokenizer of transformers."""

    chat_template: Any

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """The conversation as the model was trained to read it."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What the model reads. `special`: the tokenizer has still to add the tokens that open a text."""

    text: str
    form: Form
    special: bool


def write(tokenizer: Tokenizer, prompt: str, system_prompt: str | None) -> Written:
    """The text that a model reads. An empty system prompt is none."""
    joined = f"{system_prompt}\n\n{prompt}" if system_prompt else prompt
    if not tokenizer.chat_template:
        return Written(text=joined, form=Form.PLAIN, special=True)
    if system_prompt:
        messages = [{"role": "system", "content": system_prompt}, {"role": "user", "content": prompt}]
        text = _rendered_or_none(tokenizer, messages)
        if text is not None and system_prompt.strip() in text and prompt.strip() in text:
            return Written(text=text, form=Form.TEMPLATE, special=False)
    text = _rendered(tokenizer, [{"role": "user", "content": joined}])
    form = Form.SYSTEM_IN_QUESTION if system_prompt else Form.TEMPLATE
    return Written(text=text, form=form, special=False)


def fingerprint(tokenizer: Tokenizer) -> str | None:
    """The SHA-256 of the template, which two containers share if they put questions alike; None without one."""
    template = tokenizer.chat_template
    return sha256(str(template).encode()).hexdigest() if template else None


def _rendered_or_none(tokenizer: Tokenizer, messages: list[dict[str, str]]) -> str | None:
    try:
        return _rendered(tokenizer, messages)
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "jinja2":  # a template refuses by raising
            return None
        raise


def _rendered(tokenizer: Tokenizer, messages: list[dict[str, str]]) -> str:
    return str(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, date_string=CHAT_DATE)
    )
