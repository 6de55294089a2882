"""From rows of results to answers: what each reads like, where it came from, and whether the tests may use it.

Takes rows of the documented form, a run's own or collected elsewhere; what a row lacks is not known. Must not know
how answers are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from beacon_cli.evidence.answers import Answer, Exclusion, Place
from beacon_cli.evidence.places import judge
from beacon_cli.evidence.readings import Kind, Reading
from beacon_cli.model import JsonObject, Region, Spec


class Reader(Protocol):
    """Whoever says how a row's answer reads."""

    def read_row(self, row: Mapping[str, Any]) -> Reading:
        """The reading of the row of one execution."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the questions and regions beside the rows: categories by question id, regions by id."""

    categories: dict[str, str] = {}
    regions: dict[str, Region] = {}


def asked(spec: Spec | None, regions: Iterable[Region] = ()) -> Asked:
    """What a spec says of them; without one, the regions of the configuration."""
    return Asked(
        categories={question.id: question.category for question in spec.questions} if spec else {},
        regions={region.id: region for region in (spec.regions if spec else regions)},
    )


def gather(
    rows: Iterable[Mapping[str, Any]], reader: Reader, about: Asked, *, by_run: str | None = None
) -> Iterator[Answer]:
    """The answers of `rows`, in their order; `by_run` names the run they are of, if runs are compared."""
    for row in rows:
        yield _answer(row, reader.read_row(row), about, by_run)


def _answer(row: Mapping[str, Any], reading: Reading, about: Asked, by_run: str | None) -> Answer:
    provenance: JsonObject = row.get("provenance") or {}
    region = str(row.get("region") or "")
    question = str(row.get("question_id") or "")
    reported = _text(provenance.get("modal_region"))
    known = about.regions.get(region)
    place = judge(reported, known.modal if known else ())
    container = _text(row.get("container"))
    error = row.get("error")
    return Answer(
        execution=str(row.get("execution_id") or ""),
        run=str(row.get("run_id") or ""),
        group=by_run if by_run is not None else region,
        region=region,
        model=str(row.get("model") or ""),
        question=question,
        context=_text(row.get("context")),
        repeat=_whole(row.get("repeat")) or 1,
        category=about.categories.get(question) or _text(row.get("category")) or "",
        kind=reading.kind,
        language=reading.language,
        because=reading.because,
        text=row["response"] if isinstance(row.get("response"), str) else None,
        error=_text(error.get("kind")) if isinstance(error, Mapping) else None,
        region_reported=reported,
        cloud=_text(provenance.get("cloud")),
        place=place,
        container=container,
        cold=row["cold_start"] if isinstance(row.get("cold_start"), bool) else None,
        call_id=_text(row.get("call_id")),
        attempts=_whole(row.get("attempts")) or 0,
        started_at=_text(row.get("started_at")),
        finished_at=_text(row.get("finished_at")),
        seconds=_number(row.get("seconds")),
        finish_reason=_text(provenance.get("finish_reason")),
        tokens=_tokens(provenance),
        provenance=provenance,
        excluded=_exclusion(reading.kind, place, container, is_cut=row.get("cut_from") is not None),
    )


def _exclusion(kind: Kind, place: Place, container: str | None, *, is_cut: bool) -> Exclusion | None:
    if kind is Kind.INFRASTRUCTURE:
        return Exclusion.NO_ANSWER
    if place is Place.ELSEWHERE:
        return Exclusion.ELSEWHERE
    if kind is Kind.EMPTY:
        return Exclusion.EMPTY
    if kind is Kind.TRUNCATED or is_cut:
        return Exclusion.TRUNCATED
    return None if container else Exclusion.NO_CONTAINER


def _tokens(provenance: Mapping[str, Any]) -> int | None:
    usage = provenance.get("usage")
    told = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    return _whole(told) if told is not None else _whole(provenance.get("tokens_generated"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
