"""Windows that were changed, remembered on disk until they are back."""

from __future__ import annotations

import stat
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.faulty import FaultyDisk

from beacon_cli.errors import StoreError
from beacon_cli.leftovers import Leftover, Leftovers
from beacon_cli.model import Window

POOL = '{"app":"beacon-us","function":"m1"}'
LONG, SHORT = Window(seconds=300, min_containers=1), Window(seconds=2)


def test_what_is_remembered_is_found_by_another_process(tmp_path: Path) -> None:
    """A window is on disk once `remember` returns, readable by its owner alone, until it is forgotten."""
    home = tmp_path / "home"
    assert Leftovers(home).every() == ()
    assert Leftovers(home).remember(POOL, LONG, SHORT, run_id="a", at=5.0) == LONG
    known = Leftover(pool=POOL, before=LONG, now=SHORT, run_id="a", at=5.0)
    assert Leftovers(home).every() == (known,)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (home / "windows").iterdir()}
    assert (modes, stat.S_IMODE((home / "windows").stat().st_mode)) == ({0o600}, 0o700)
    Leftovers(home).forget(POOL)
    Leftovers(home).forget(POOL)
    assert Leftovers(home).every() == ()


def test_forgetting_makes_nothing(tmp_path: Path) -> None:
    """A home in which nothing was changed is left as it is."""
    Leftovers(tmp_path / "home").forget(POOL)
    assert list(tmp_path.iterdir()) == []


def test_the_first_window_is_the_one_to_put_back(tmp_path: Path) -> None:
    """A pool that is cool already keeps the window of before; one that was deployed anew since has another."""
    kept = Leftovers(tmp_path)
    kept.remember(POOL, LONG, SHORT, run_id="a", at=5.0)
    assert kept.remember(POOL, SHORT, SHORT, run_id="b", at=6.0) == LONG
    assert [each.run_id for each in kept.every()] == ["b"]
    deployed = Window(seconds=60)
    assert kept.remember(POOL, deployed, SHORT, run_id="c", at=7.0) == deployed


def test_a_window_that_does_not_change_is_not_remembered(tmp_path: Path) -> None:
    """What has the least window by itself has nothing to put back, and what is put back is forgotten."""
    kept = Leftovers(tmp_path)
    assert kept.remember(POOL, SHORT, SHORT, run_id="a", at=5.0) == SHORT
    assert kept.every() == ()
    kept.remember(POOL, LONG, SHORT, run_id="a", at=5.0)
    assert kept.remember(POOL, SHORT, LONG, run_id="b", at=6.0) == LONG
    assert kept.every() == ()


def test_a_disk_that_fails_leaves_what_was_known(tmp_path: Path) -> None:
    """Whichever call fails, the record of before or the new one is there, and whoever asked is told."""
    for number in count(1):
        home = tmp_path / str(number)
        Leftovers(home).remember(POOL, LONG, SHORT, run_id="a", at=5.0)
        disk = FaultyDisk(number)
        try:
            Leftovers(home, disk).remember(POOL, SHORT, SHORT, run_id="b", at=6.0)
        except StoreError:
            assert disk.has_failed
        (left,) = Leftovers(home).every()
        assert (left.before, left.now) == (LONG, SHORT)
        if not disk.has_failed:
            return


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """A file that is no record is told with its path and what to do."""
    kept = Leftovers(tmp_path)
    kept.remember(POOL, LONG, SHORT, run_id="a", at=5.0)
    (path,) = (tmp_path / "windows").glob("*.json")
    path.write_bytes(b'{"pool":')
    with pytest.raises(StoreError, match=rf"{path.name}: is damaged .*: delete it"):
        kept.every()


@given(st.lists(st.text() | st.sampled_from(["../a", "/etc/x", ".."]), unique=True, max_size=5))
def test_any_pool_has_a_record_of_its_own(pools: list[str]) -> None:
    """Whatever a key is, slashes and dots included, it leads to one file within the folder."""
    names = [Leftovers(Path("home"))._path(pool) for pool in pools]
    assert len(set(names)) == len(pools)
    assert {each.parent for each in names} <= {Path("home/windows")}
