"""A page to read and to keep: counts, failures, and the answers side by side, in Markdown.

Answers are excerpts; whoever needs them whole takes `jsonl`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from beacon_cli.collected import Collection, Row, said
from beacon_cli.exports.tables import line, table
from beacon_cli.rows import Status

EXCERPT = 1_000
"""Characters of an answer that are shown."""
_MESSAGE = 300
_MOST_FAILURES = 100
_NONE = "–"  # noqa: RUF001 - the dash for nothing to say


class _Turn(NamedTuple):
    """What was asked once: its answers stand together."""

    question: str
    context: str | None
    repeat: int


class _Gathered:
    """What the page says, from one pass over the rows; holds excerpts and no whole answer."""

    def __init__(self, collection: Collection) -> None:
        self.statuses: dict[tuple[str, str], Counter[str]] = {}
        self.failures: list[tuple[str, ...]] = []
        self.unanswered = 0
        self.turns: dict[_Turn, dict[str, dict[str, str]]] = {}
        self.regions: dict[str, None] = {}
        for row in collection.rows():
            self._take(row)

    def _take(self, row: Row) -> None:
        region, model = row["region"], row["model"]
        turn = _Turn(row["question_id"], row["context"], row["repeat"])
        self.regions.setdefault(region)
        self.statuses.setdefault((region, model), Counter())[row["status"]] += 1
        answered = row["status"] == Status.SUCCEEDED
        cell = (
            line(row["response"] or "(empty)", most=EXCERPT) if answered else f"*{line(said(row), most=_MESSAGE)}*"
        )
        self.turns.setdefault(turn, {}).setdefault(model, {})[region] = cell
        if not answered:
            self.unanswered += 1
            if len(self.failures) < _MOST_FAILURES:
                self.failures.append((region, model, _named(turn), said(row)))


def export(collection: Collection) -> Iterator[bytes]:
    """The page."""
    return (f"{text}\n".encode() for text in _page(collection, _Gathered(collection)))


def _page(collection: Collection, found: _Gathered) -> Iterator[str]:
    yield from (f"# {line(collection.title)}", "")
    if collection.rehearsal:
        yield from ("> **REHEARSAL**: answers in this file are made up; nothing of it is a finding.", "")
    yield from (f"- {fact}" for fact in _facts(collection, found))
    yield ""
    if not found.turns:
        yield "No answers."
        return
    yield from ("## Counts", "", *_counts(found), "")
    if found.failures:
        yield from ("## Not answered", "", *_failures(found), "")
    yield "## Answers"
    for turn, models in found.turns.items():
        yield from ("", f"### {line(_named(turn))}", "")
        question = collection.questions.get(turn.question)
        if question is not None:
            yield from (f"Asked: {line(question.text)}", "")
        cells = (
            [line(model), *(answers.get(region, _NONE) for region in found.regions)]
            for model, answers in models.items()
        )
        yield from table(["model", *map(line, found.regions)], cells)


def _facts(collection: Collection, found: _Gathered) -> Iterator[str]:
    if collection.run_id is not None:
        yield f"run: {line(collection.run_id)}"
    if collection.began_at is not None:
        yield f"began: {collection.began_at}"
    if collection.beacon is not None:
        yield f"beacon: {line(collection.beacon)}"
    if collection.interrupted is not None:
        yield f"interrupted: {line(collection.interrupted)}"
    planned = sum(counts.total() for counts in found.statuses.values())
    yield f"answered: {planned - found.unanswered:,} of {planned:,}"


def _counts(found: _Gathered) -> Iterator[str]:
    cells = (
        [line(region), line(model), *(str(counts[status]) for status in Status)]
        for (region, model), counts in found.statuses.items()
    )
    return table(["region", "model", *Status], cells, numbers=len(Status))


def _failures(found: _Gathered) -> Iterator[str]:
    yield from table(
        ["region", "model", "question", "why"],
        ([line(text, most=_MESSAGE) for text in failure] for failure in found.failures),
    )
    if found.unanswered > len(found.failures):
        yield from ("", f"And {found.unanswered - len(found.failures):,} more.")


def _named(turn: _Turn) -> str:
    """The question with its context and repeat, where there are such."""
    parts = [turn.question, *([f"({turn.context})"] if turn.context is not None else [])]
    return " ".join([*parts, *([f"#{turn.repeat}"] if turn.repeat > 1 else [])])
