"""A language model of a few kilobytes, made here: random weights, a small tokenizer, saved as a large one is.

What it says is nonsense; how it is loaded, asked, seeded and stopped is what a large one goes through. Needs the
extra `apps`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from beacon_app import weights
from beacon_app.settings import Card

CARD = Card(
    id="tiny",
    repository="tests/tiny",
    revision="0123456789abcdef0123456789abcdef01234567",
    gpu="T4",
    dtype="float32",
    gated=False,
)
ROOM = 96
"""How many tokens the model can read and write together."""
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
DROPPING = TEMPLATE.replace(
    "{% for message in messages %}", "{% for message in messages if message.role == 'user' %}"
)
_WORDS = "what is the capital of France ? Paris one two three four you are a helpful assistant . answer briefly"
_MARKS = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
_SPECIAL = ("<unk>", "<s>", "</s>", "<user>", "<system>", "<assistant>")


def make(root: Path, *, template: str | None = TEMPLATE, card: Card = CARD, seed: int = 0) -> Path:
    """Save the model where a Volume would have it, and give its folder."""
    path = weights.folder(root, card)
    path.mkdir(parents=True)
    tokenizer = _tokenizer(template)
    tokenizer.save_pretrained(path)
    _model(len(tokenizer), seed).save_pretrained(path, safe_serialization=True)
    note = {"repository": card.repository, "revision": card.revision}
    (path / weights.NOTE).write_text(json.dumps(note), encoding="utf-8")
    return path


def _tokenizer(template: str | None) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys([*_SPECIAL, *_WORDS.split()])
    numbered = {word: number for number, word in enumerate(words)}
    inner = Tokenizer(models.WordLevel(numbered, unk_token=_MARKS["unk_token"]))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(list(_SPECIAL))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **_MARKS)
    tokenizer.chat_template = template
    return tokenizer


def _model(words: int, seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=words,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=ROOM,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
        )
    )
