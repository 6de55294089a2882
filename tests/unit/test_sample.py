"""The labelled sample of answers is whole, balanced and what its README says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
import pytest

DATA = Path(__file__).parents[1] / "data"
FILES = {"dev": "readings.jsonl", "held_out": "readings_held_out.jsonl"}
LANGUAGES = ("en", "zh", "fr", "de", "es")
LABELS = ("substantive", "partial", "hard_refusal", "soft_refusal", "empty", "truncated")
# Full stops and their Chinese forms; a new line ends a sentence too.
SENTENCE_END = re.compile("(?<=[.!?\u3002\uff01\uff1f])\\s*|\n+")
# A Chinese sentence says in 15 characters what the others say in 40.
SHARED_MAX = {"zh": 15}
# How many characters an answer that is not empty has; a model answers in one word, or at length.
LENGTHS = {"dev": (20, 900), "held_out": (3, 2000)}


class Labelled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the sample."""

    id: str
    language: Literal["en", "zh", "fr", "de", "es"]
    half: Literal["dev", "held_out"]
    label: Literal["substantive", "partial", "hard_refusal", "soft_refusal", "empty", "truncated"]
    finish_reason: Literal["stop", "length", "content_filter"] | None
    question: str
    answer: str
    synthetic: bool
    why: str


@cache
def sample() -> tuple[Labelled, ...]:
    """Every line of both halves; a line of another shape fails here."""
    return tuple(line for half in FILES for line in lines_of(half))


@cache
def lines_of(half: str) -> tuple[Labelled, ...]:
    """Every line of the file that holds a half."""
    lines = (DATA / FILES[half]).read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=Labelled) for line in lines)


def sentences(answer: str) -> set[str]:
    """The sentences of an answer, without their marks and in one case."""
    return {part.strip(" *#-\"'\t").casefold() for part in SENTENCE_END.split(answer)}


@pytest.mark.parametrize("half", FILES)
def test_each_half_is_a_file(half: str) -> None:
    """Each line names the half whose file it is in."""
    assert {line.half for line in lines_of(half)} == {half}


@pytest.mark.parametrize("half", FILES)
def test_each_half_is_large_enough(half: str) -> None:
    """Each half has at least 300 answers, at least 60 a language, and each label in each language."""
    by_language: Counter[str] = Counter(line.language for line in lines_of(half))
    assert by_language.total() >= 300
    assert min(by_language[language] for language in LANGUAGES) >= 60
    kinds = {(line.language, line.label) for line in lines_of(half)}
    assert len(kinds) == len(LANGUAGES) * len(LABELS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_halves_are_balanced(language: str) -> None:
    """Each half has 45 to 55 % of a language, and of each label in it to within three answers."""
    dev: Counter[str] = Counter(line.label for line in lines_of("dev") if line.language == language)
    held_out: Counter[str] = Counter(line.label for line in lines_of("held_out") if line.language == language)
    assert 0.45 <= dev.total() / (dev.total() + held_out.total()) <= 0.55
    assert all(abs(dev[label] - held_out[label]) <= 3 for label in LABELS)


def test_ids_are_unique_and_name_their_language() -> None:
    """No two answers have the same id, and each id starts with the language of its answer."""
    ids = [line.id for line in sample()]
    assert len(set(ids)) == len(ids)
    assert [line.id for line in sample() if not re.fullmatch(rf"{line.language}-\d{{3}}", line.id)] == []


def test_each_line_is_synthetic_and_reasoned() -> None:
    """Every line says that it is synthetic, what was asked and why it has its label."""
    assert [line.id for line in sample() if not (line.synthetic and line.question and line.why)] == []


@pytest.mark.parametrize("half", FILES)
def test_answers_have_the_promised_length(half: str) -> None:
    """An answer has the length of its half, unless it is empty or a filter left nothing: then it says nothing."""
    low, high = LENGTHS[half]
    filtered = [
        line for line in lines_of(half) if line.finish_reason == "content_filter" and len(line.answer) < 20
    ]
    assert {line.label for line in filtered} == {"hard_refusal"}
    blank = [line for line in lines_of(half) if line.label == "empty" or line in filtered]
    wrong = [line.id for line in blank if len(line.answer) > 60]
    wrong += [line.id for line in lines_of(half) if line not in blank and not low <= len(line.answer) <= high]
    assert wrong == []


def test_stopped_at_the_limit_is_truncated() -> None:
    """An answer that was stopped at its limit of length is labelled as truncated."""
    stopped = [line for line in sample() if line.finish_reason == "length"]
    assert stopped
    assert {line.label for line in stopped} == {"truncated"}


def test_no_two_answers_share_a_sentence() -> None:
    """A sentence of over 40 characters (15 in Chinese) occurs in one answer only."""
    owners: dict[str, set[str]] = defaultdict(set)
    for line in sample():
        for sentence in sentences(line.answer):
            if len(sentence) > SHARED_MAX.get(line.language, 40):
                owners[sentence].add(line.id)
    assert len(owners) > len(sample())
    assert [ids for ids in owners.values() if len(ids) > 1] == []


@pytest.mark.parametrize("language", [*LANGUAGES, "all"])
def test_readme_counts_what_is_there(language: str) -> None:
    """The table of the README gives the number of answers by language, label and half."""
    lines = [line for line in sample() if language in (line.language, "all")]
    counts: Counter[tuple[str, str]] = Counter((line.label, line.half) for line in lines)
    cells = [f"{counts[label, 'dev']} + {counts[label, 'held_out']}" for label in LABELS]
    row = f"| {language} | {' | '.join(cells)} | {len(lines)} |"
    assert row in (DATA / "README.md").read_text(encoding="utf-8").splitlines()
