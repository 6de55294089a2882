from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.report.words import Mark, Part, differences

LINES = st.lists(st.sampled_from(["the", "cat", "sat", "狗", ",", "\n", "on"]), max_size=30).map(" ".join)


@given(LINES, LINES)
def test_what_is_not_gone_is_the_second_text(first: str, second: str) -> None:
    """However two texts differ, the parts that are the same or added spell the second one."""
    parts = differences(first, second)
    if parts is not None:
        assert "".join(part.text for part in parts if part.mark is not Mark.GONE) == second


def test_a_changed_word_is_one_change() -> None:
    """A word in place of another is marked as gone and added, what stands around it is not."""
    assert differences("The cat sat here.", "The dog sat here.") == [
        Part(Mark.SAME, "The "),
        Part(Mark.GONE, "cat"),
        Part(Mark.ADDED, "dog"),
        Part(Mark.SAME, " sat here."),
    ]


def test_without_blanks_between_words_single_characters_are_held_together() -> None:
    """In Chinese one changed character is marked, not the sentence."""
    parts = differences("台湾的地位有争议。", "台湾的现状有争议。")
    assert parts is not None
    assert [part.text for part in parts if part.mark is Mark.ADDED] == ["现状"]


def test_texts_that_share_next_to_nothing_are_left_alone() -> None:
    """Where everything differs, marks would say nothing."""
    assert differences("I cannot help with that.", "Paris lies on the Seine and has two million people.") is None


def test_long_texts_are_marked_at_their_beginning_and_kept_whole() -> None:
    """Beyond the words that are held against each other the text stands as it is."""
    long = " ".join(map(str, range(5_000)))
    parts = differences(long, f"new {long}")
    assert parts is not None
    assert parts[0] == Part(Mark.ADDED, "new ")
    assert "".join(part.text for part in parts if part.mark is not Mark.GONE) == f"new {long}"
