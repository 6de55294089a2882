"""Rows of results for tests: of one execution, of a hostile file, and collections of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import strategies as st
from tests.support.hostile import CORPUS, TEXTS

from beacon_cli.collected import Collection
from beacon_cli.model import JsonObject

ROW: JsonObject = {
    "run_id": "r1",
    "job_id": "small",
    "execution_id": "e1",
    "region": "us",
    "model": "m1",
    "question_id": "q1",
    "context": None,
    "repeat": 1,
    "status": "succeeded",
    "response": "Paris.",
    "error": None,
    "attempts": 1,
    "call_id": "fc-1",
    "container": "ta-1",
    "cold_start": False,
    "queued_at": "2026-11-21T19:37:40.000Z",
    "started_at": "2026-11-21T19:37:41.000Z",
    "finished_at": "2026-11-21T19:37:43.614Z",
    "seconds": 2.614,
    "provenance": {"gpu": "T4"},
    "cut_from": None,
    "rehearsal": False,
}
"""An answer, with every field."""


def row(**fields: Any) -> JsonObject:
    """`ROW` with other fields."""
    return {**ROW, **fields}


def failed(
    message: str = "no route", *, status: str = "failed", kind: str = "connection", **fields: Any
) -> JsonObject:
    """An execution without an answer."""
    error = {"kind": kind, "message": message}
    return row(status=status, response=None, error=error, provenance={}, **fields)


def collection(*rows: JsonObject, **about: Any) -> Collection:
    """A collection of these rows."""
    return Collection(**{"title": "small", "run_id": "r1", "job_id": "small", "rows": lambda: iter(rows), **about})


def hostile() -> list[JsonObject]:
    """One answer, one failure and one strange name for each text of the corpus."""
    return [each for number, text in enumerate(CORPUS.values()) for each in _of(number, text)]


def _of(number: int, text: str) -> Iterator[JsonObject]:
    about: JsonObject = {"execution_id": f"e{number}", "question_id": f"q{number}"}
    yield row(**about, response=text, provenance={text: [text]})
    yield failed(text, **about, model="m2")
    yield failed(text, **about, model=text, region=text, context=text, status="skipped", call_id=text)


ROWS: st.SearchStrategy[list[JsonObject]] = st.lists(
    st.builds(lambda name, text: row(question_id=name or "q", response=text, container=text), TEXTS, TEXTS)
    | st.builds(lambda name, text: failed(text, model=name or "m", region=name or "r"), TEXTS, TEXTS),
    max_size=5,
)
"""A few rows with any texts."""


def joined(chunks: Iterable[bytes]) -> bytes:
    """The whole export."""
    return b"".join(chunks)
