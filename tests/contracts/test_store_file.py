"""What is said of a queue's file that cannot be opened."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from beacon_cli.errors import StoreError
from beacon_cli.queues import sqlite


@pytest.mark.parametrize(
    ("writable", "said"), [(False, "its folder cannot be written to"), (True, "only whoever made it may read it")]
)
def test_a_disk_that_is_read_only_is_no_file_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, writable: bool, said: str
) -> None:
    """SQLite has one word for both, so the folder is asked which of them it is."""
    path = tmp_path / "queue.db"
    path.mkdir()  # the same word once more
    monkeypatch.setattr(os, "access", lambda *_, **__: writable)
    with pytest.raises(StoreError, match=said), closing(sqlite.store(path)) as store:
        store.snapshot()
