"""Hostile names and planted files: nothing is written through them, outside of them, or waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.hostile import TEXTS

from beacon_cli import settings as configuration
from beacon_cli import spec
from beacon_cli.disk import write_file
from beacon_cli.errors import SpecError, StoreError, UsageError
from beacon_cli.model import Region
from beacon_cli.runs import Runs

PATHS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "/",
        "../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "C:\\x",
        "con",
        "NUL.txt",
        "a" * 300,
        "a.",
        " a",
        "-rf",
        "~",
        "~root",
    ]
)
ALLOWED = spec.Allowed(regions=(Region(id="us", app="us", place="the United States"),))


@settings(max_examples=300, deadline=None)
@given(PATHS | TEXTS | st.text("./\\~aA0-_ :\0\n", max_size=12))
def test_no_run_id_leaves_its_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Any text at all is refused, or names one new folder in `runs/` that has exactly this name; nothing else."""
    outside = tmp_path_factory.mktemp("outside", numbered=True)
    home = outside / "home"
    runs = Runs(home)
    refusal = ""
    try:
        runs.create(name, b"id: j")
    except UsageError as error:
        refusal = str(error)
    if refusal:
        assert refusal.isprintable()
        assert list(outside.iterdir()) == []
    else:
        assert [path.name for path in outside.iterdir()] == ["home"]
        assert [path.name for path in (home / "runs").iterdir()] == [name]


@settings(deadline=None)
@given(PATHS | TEXTS)
def test_no_name_finds_what_is_no_run(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Looking for any text finds a run by its own name or its beginning, or nothing."""
    home = tmp_path_factory.mktemp("home", numbered=True)
    Runs(home).create("r1", b"")
    (home / "secret").mkdir()
    said = ""
    try:
        found = Runs(home).find(name).run_id
    except UsageError as error:
        found, said = name, str(error)
    assert said.isprintable()
    assert found == name if said else found == "r1"
    assert found.startswith(name)


def test_a_link_is_no_run(tmp_path: Path) -> None:
    """A link in `runs/` that leads elsewhere is not followed."""
    Runs(tmp_path).create("r1", b"")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "r2").symlink_to(tmp_path / "elsewhere")
    assert [each.run_id for each in Runs(tmp_path).summaries()] == ["r1"]
    with pytest.raises(UsageError):
        Runs(tmp_path).find("r2")


@pytest.mark.parametrize("planted", ["link", "dangling link", "hard link", "pipe"])
def test_nothing_is_written_through_what_was_planted(tmp_path: Path, planted: str) -> None:
    """Results put into a folder that others can write to change no file but their own, and its mode neither."""
    victim, draft = tmp_path / "victim", tmp_path / ".results.jsonl.draft"
    victim.write_text("mine")
    victim.chmod(0o644)
    match planted:
        case "link":
            draft.symlink_to(victim)
        case "dangling link":
            draft.symlink_to(tmp_path / "new")
        case "hard link":
            draft.hardlink_to(victim)
        case _:
            os.mkfifo(draft)
    write_file(tmp_path / "results.jsonl", [b"theirs"])
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("mine", 0o644)
    assert (tmp_path / "results.jsonl").read_bytes() == b"theirs"
    assert not (tmp_path / "results.jsonl").is_symlink()
    assert not (tmp_path / "new").exists()
    assert not draft.is_symlink()


def test_a_link_in_the_place_of_the_results_is_replaced(tmp_path: Path) -> None:
    """Results take the place of a link; what it leads to stays."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "results.jsonl").symlink_to(victim)
    write_file(tmp_path / "results.jsonl", [b"theirs"])
    assert victim.read_text() == "mine"
    assert (tmp_path / "results.jsonl").read_bytes() == b"theirs"


def test_a_folder_in_the_place_of_the_results_is_named(tmp_path: Path) -> None:
    """A folder in the way is one line of error, and nothing is left behind."""
    (tmp_path / "results.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"results\.jsonl: is a directory"):
        write_file(tmp_path / "results.jsonl", [b"theirs"])
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_nobody_waits_for_a_pipe_in_a_strangers_folder(tmp_path: Path) -> None:
    """A question file or a `beacon.toml` that is a pipe is refused at once: opening it would wait for ever."""
    os.mkfifo(tmp_path / "q.csv")
    (tmp_path / "job.yaml").write_text("id: j\nregions: [us]\nmodels: [m]\nquestions: {file: q.csv}\n")
    with pytest.raises(SpecError, match="is a pipe or a device; name a file"):
        spec.load(tmp_path / "job.yaml", ALLOWED)
    os.mkfifo(tmp_path / "beacon.toml")
    with pytest.raises(SpecError, match="is a pipe; it has to be a file"):
        configuration.load(tmp_path, {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "name", ["/dev/zero.csv", "/proc/self/mem.csv", "../" * 40 + "q.csv", "q\0.csv", "~/q.csv", "$HOME/q.csv"]
)
def test_paths_that_lead_nowhere_are_named(tmp_path: Path, name: str) -> None:
    """A question file that is not there is one fault with its place; nothing in its name is expanded."""
    quoted = name.replace("\0", "\\0")
    (tmp_path / "job.yaml").write_text(f'id: j\nregions: [us]\nmodels: [m]\nquestions: {{file: "{quoted}"}}\n')
    with pytest.raises(SpecError) as raised:
        spec.load(tmp_path / "job.yaml", ALLOWED)
    (fault,) = raised.value.faults
    assert (fault.line, fault.key) == (4, "questions.file")
    assert str(fault).isprintable()
