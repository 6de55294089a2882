"""What the server remembers of its jobs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from beacon_cli.server import book as server_book
from beacon_cli.server.book import Book, Entry, Stage


def entry(number: int, stage: Stage = Stage.ACCEPTED) -> Entry:
    """The job with this number."""
    return Entry(run_id=f"run-{number}", job_id="job", at=float(number), stage=stage)


def loaded(folder: Path) -> tuple[Book, list[str]]:
    """The book of this folder, and what was wrong with it."""
    book = Book(folder)
    return book, book.load()


def test_what_was_taken_in_is_there_after_a_restart(tmp_path: Path) -> None:
    """In its order, readable by its owner alone, with the job word for word."""
    book, _ = loaded(tmp_path / "jobs")
    for number in (10, 9):
        book.add(entry(number), b"id: x\n")
    book.change(entry(9, Stage.FINISHED))
    again, complaints = loaded(tmp_path / "jobs")
    assert complaints == []
    assert [(each.run_id, each.stage) for each in again] == [("run-9", Stage.FINISHED), ("run-10", Stage.ACCEPTED)]
    assert again.file("run-9").read_bytes() == b"id: x\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "jobs").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run-1.json", b""),
        ("run-1.json", b"{"),
        ("run-1.json", b"[]"),
        ("run-1.json", b'{"run_id": "../../x", "job_id": "j", "at": 1}'),
        ("run-1.json", b'{"run_id": "run-2", "job_id": "j", "at": 1}'),
        ("run-1.json", b'{"run_id": "run-1", "job_id": "j", "at": 1, "stage": "unheard of"}'),
        ("run-1.json", b"\xff\xfe"),
    ],
)
def test_an_entry_that_cannot_be_read_is_left_out_and_said(tmp_path: Path, name: str, content: bytes) -> None:
    """The others are there."""
    book, _ = loaded(tmp_path)
    book.add(entry(3), b"")
    (tmp_path / name).write_bytes(content)
    again, complaints = loaded(tmp_path)
    assert [each.run_id for each in again] == ["run-3"]
    assert len(complaints) == 1
    assert name in complaints[0]


def test_the_oldest_that_have_ended_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on never is."""
    monkeypatch.setattr(server_book, "KEPT", 2)
    book, _ = loaded(tmp_path)
    book.add(entry(0), b"")
    for number in range(1, 5):
        book.add(entry(number, Stage.FINISHED), b"")
    assert [each.run_id for each in book] == ["run-0", "run-3", "run-4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"run-{number}.{kind}" for number in (0, 3, 4) for kind in ("json", "yaml")
    ]
