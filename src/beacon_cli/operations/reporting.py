"""From the name of a run, or of two, to what its answers are evidence for: shown, written, held against gates."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import webbrowser
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from beacon_cli import wiring
from beacon_cli.collected import Collection, Row
from beacon_cli.disk import write_file
from beacon_cli.display import paper
from beacon_cli.errors import GateCrossed, StartError
from beacon_cli.evidence.answers import Answer
from beacon_cli.evidence.design import asked_of_runs, design
from beacon_cli.evidence.findings import Design, Findings
from beacon_cli.evidence.gathering import asked, gather
from beacon_cli.model import Measure
from beacon_cli.operations import noting
from beacon_cli.operations.collecting import collect, is_path
from beacon_cli.operations.exporting import check_free
from beacon_cli.plan import of_one_address
from beacon_cli.report import gates
from beacon_cli.report.frame import Frame, Source
from beacon_cli.rows import Status
from beacon_cli.runs import Runs
from beacon_cli.settings import Settings

PAGE = "report.html"
"""The page's name in a run's folder, where none is given."""
_NEEDED = ("numpy", "scipy", "rapidfuzz", "sacrebleu")
"""What the extra `report` brings."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How a report is wanted: where its page goes, whether to open it, JSON or words, which gates it must pass."""

    html: Path | None = None
    open_page: bool = False
    as_json: bool = False
    fail_on: Sequence[str] = ()
    force: bool = False


def report(name: str, wish: Wish) -> None:
    """Judge the answers of a run or of a file, the latest run's if none is named.

    Raises:
        UsageError: there is no such run, file or gate, or the page's file is there already.
        SpecError: the file holds a line that is no row of results.
        StartError: what a report computes with is not installed.
        GateCrossed: in a group, one for each gate that is crossed; the report has been given.
    """
    check_installed()
    chosen = _gates(wish)
    settings = wiring.settings()
    runs = Runs(settings.home)
    collection = collect(name, runs)
    own = collection.run_id if not is_path(name) and collection.run_id else name
    found = judged(collection, settings, own)
    frame = framed([collection], f"beacon export {_quoted(own)} --format jsonl")
    _give(found, frame, wish, None if is_path(name) else runs.find(own).path / PAGE)
    _hold(found, chosen)


def compare(first: str, second: str, wish: Wish) -> None:
    """Judge two runs, or files, against each other, on the executions that both have.

    Raises:
        As `report`.
    """
    check_installed()
    chosen = _gates(wish)
    settings = wiring.settings()
    runs = Runs(settings.home)
    both = [collect(name, runs) for name in (first, second)]
    names = _names(both)
    found = _comparison(both, names, settings, f"beacon compare {_quoted(first)} {_quoted(second)}")
    frame = framed(both, f"beacon export {_quoted(first)} --format jsonl (and of the other)", names)
    _give(found, frame, wish, None)
    _hold(found, chosen)


def judged(collection: Collection, settings: Settings, name: str) -> Findings:
    """The findings on a run's or a file's answers; `name` is what it is called on the command line."""
    from beacon_cli.evidence import judging

    reader, about = wiring.reader(settings), asked(collection.spec, settings.regions)
    plan = design(collection.spec, collection.design or None)
    interrupted = _Interrupted(collection.rows())
    answers = list(gather(interrupted, reader, about))
    material = judging.Material(
        job=collection.title,
        runs=(collection.run_id or collection.title,),
        rehearsal=collection.rehearsal,
        recompute=f"beacon report {_quoted(name)}",
        interrupted=interrupted.seen,
        spec=collection.spec,
        notes=(*_one_address(collection), *_own_patterns(settings)),
    )
    return judging.findings(answers, plan, material)


def _comparison(both: Sequence[Collection], names: Sequence[str], settings: Settings, command: str) -> Findings:
    from beacon_cli.evidence import judging, parity

    reader = wiring.reader(settings)
    sides: list[list[Answer]] = []
    interrupted = False
    for collection, name in zip(both, names, strict=True):
        rows = _Interrupted(collection.rows())
        sides.append(list(gather(rows, reader, asked(collection.spec, settings.regions), by_run=name)))
        interrupted = interrupted or rows.seen
    material = judging.Material(
        job=" and ".join(dict.fromkeys(each.title for each in both)),
        runs=tuple(names),
        rehearsal=any(each.rehearsal for each in both),
        recompute=command,
        interrupted=interrupted,
        spec=both[0].spec,
        beside=parity.of_runs({name: each.spec for name, each in zip(names, both, strict=True)}),
        notes=_own_patterns(settings),
    )
    return judging.compared(sides[0], sides[1], _shared_design(both), material)


def _shared_design(both: Sequence[Collection]) -> Design:
    """That of the first run; fixed beforehand only if both journals have the hash of one and the same."""
    one, other = (design(each.spec, each.design or None) for each in both)
    return msgspec.structs.replace(
        one,
        registered=one.registered and other.registered and one.hash == other.hash,
        question=asked_of_runs(Measure(one.primary)),
    )


def _one_address(collection: Collection) -> tuple[str, ...]:
    """What is said of a run's regions that were asked at one address."""
    return () if collection.spec is None else tuple(f"{said}." for said in of_one_address(collection.spec))


def _own_patterns(settings: Settings) -> tuple[str, ...]:
    """Patterns are no part of the design's hash: changed after the answers, they could choose what is found."""
    if not settings.patterns:
        return ()
    names = ", ".join(path.name for path in settings.patterns)
    return (
        f"Answers were read with patterns of your own too ({names}); no journal says since when they are there.",
    )


class _Interrupted:
    """The rows, and whether one of them was stopped before it had an outcome: known when all have been seen."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.seen = False

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.seen = self.seen or row["status"] == Status.CANCELLED
            yield row


def check_installed() -> None:
    """Make sure of what a report computes with.

    Raises:
        StartError: some of it is not installed.
    """
    for package in _NEEDED:
        if not _is_there(package):
            raise StartError(f"a report needs {package}: pip install 'beacon-cli[report]'")


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # somebody has put nothing in its place
        return False


def _names(both: Sequence[Collection]) -> list[str]:
    """What the two are called: their runs' ids, and numbers where these are the same."""
    names = [each.run_id or each.title for each in both]
    return names if names[0] != names[1] else [f"{name} ({number})" for number, name in enumerate(names, 1)]


def framed(collections: Iterable[Collection], rest: str, names: Sequence[str] = ()) -> Frame:
    """What a report says beside its findings; `names` are those of the groups where runs are compared."""
    sources = [
        Source(
            name=names[place] if names else each.run_id or each.title,
            began_at=each.began_at,
            beacon=each.beacon,
        )
        for place, each in enumerate(collections)
    ]
    return Frame(sources=tuple(sources), accuracy=wiring.accuracy(), rest=rest)


def _gates(wish: Wish) -> list[gates.Gate]:
    if wish.html is not None:
        check_free(wish.html, force=wish.force)
    return [gates.parse(text) for text in wish.fail_on]


def _give(found: Findings, frame: Frame, wish: Wish, place: Path | None) -> None:
    """Write the page where one is wanted, then say what was found."""
    page = wish.html or (place or Path(tempfile.mkdtemp(prefix="beacon-")) / PAGE if wish.open_page else None)
    if page is not None:
        from beacon_cli.report import page as pages

        write_file(page, pages.page(found, frame))
    if wish.as_json:
        from beacon_cli.report import document

        paper.put(document.document(found, frame), sys.stdout)
    else:
        from beacon_cli.report import terminal

        hints = [("page", str(page))] if page is not None else []
        paper.show(lambda width: terminal.report(found, frame, width, hints=hints), sys.stdout)
    _note(found)
    if page is not None and wish.open_page and not webbrowser.open(page.absolute().as_uri()):
        paper.tell([f"beacon: no browser could be started; the page is {page}"])


def _note(found: Findings) -> None:
    from beacon_cli.report import markdown

    noting.append(markdown.summary(found), os.environ)


def _hold(found: Findings, chosen: Sequence[gates.Gate]) -> None:
    lines = gates.crossed(found, chosen)
    if lines:
        raise ExceptionGroup("gates were crossed", [GateCrossed(line) for line in lines])


def _quoted(name: str) -> str:
    return shlex.quote(name)
