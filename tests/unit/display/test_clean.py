from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.unit.display.safety import unsafe

from beacon_cli.display.clean import Lines, clean, excerpt, fit, shorten, squeeze

ANY_TEXT = st.text(st.characters(), max_size=200) | st.text(
    st.sampled_from("\x00\x1b\x7f\x9b\r\n\t\u200d\ufe0f\u202e\u2066\u2028\ud800\U000e0041\u3164\u0301漢👍é[]/ab"),
    max_size=60,
)


def test_every_code_point_that_a_terminal_obeys_is_written_out() -> None:
    """Over all of Unicode: controls, format characters, separators and surrogates never survive."""
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert unsafe(clean(everything), allowed="") == set()
    assert unsafe(clean(everything, lines=Lines.KEEP)) == set()


@given(ANY_TEXT, st.sampled_from(Lines))
def test_cleaning_twice_changes_nothing(text: str, lines: Lines) -> None:
    """What is clean stays as it is, so that nobody has to know whether a text was cleaned."""
    once = clean(text, lines=lines)
    assert clean(once, lines=lines) == once


@pytest.mark.parametrize(
    "text",
    ["Paris", "naïve café", "漢字かな", "Привет", "مرحبا", "שלום", "👍🏽 ❤️ 🎉", "e\u0301", "[/red]", "\\x1b"],
)
def test_ordinary_text_stays(text: str) -> None:
    """Letters of every script, accents, emoji and markup are left alone."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x9b31m", "a\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\rb", "a\\rb"),
        ("a\r\nb\tc", "a↵ b c"),
        ("🧑\u200d💻", "🧑\\u200d💻"),
        ("\ufe0fa", "\\ufe0fa"),
        ("❤\ufe0f\ufe0f\ufe0f", "❤\\ufe0f\\ufe0f\\ufe0f"),
    ],
)
def test_the_rest_is_seen(hostile: str, shown: str) -> None:
    """What is taken out of effect is shown, not dropped."""
    assert clean(hostile) == shown


def test_line_ends_can_stay() -> None:
    """With `KEEP`, LF and CR LF are line ends and a tab is four spaces."""
    assert clean("a\nb\r\nc\td", lines=Lines.KEEP) == "a\nb\nc    d"


@given(ANY_TEXT, st.integers(0, 40))
def test_shortened_text_fits(text: str, cells: int) -> None:
    """No way of shortening gives more cells than were asked for, or unsafe text."""
    text = clean(text)
    for short in (shorten(text, cells), squeeze(text, cells), excerpt(text, cells), fit(text, cells)):
        assert cell_len(short) <= cells
        assert not unsafe(short, allowed="")
    assert cell_len(fit(text, cells)) == cells


@given(ANY_TEXT, st.integers(2, 40))
def test_a_cut_is_marked(text: str, cells: int) -> None:
    """Text that does not fit ends in an ellipsis, text that fits is left alone."""
    text = clean(text)
    short = shorten(text, cells)
    assert short == text or short.endswith("…")
    if cell_len(text) <= cells and len(text) <= 4 * cells:
        assert short == text


def test_a_pile_of_accents_takes_no_room_without_end() -> None:
    """Characters without cells cannot make a line of any length."""
    assert len(excerpt("e" + "\u0301" * 1_000_000, 40)) < 400


def test_both_ends_of_a_long_name_stay() -> None:
    """A squeezed name keeps its end, which tells it apart."""
    assert squeeze("meta-llama/Llama-3.2-1B-Instruct", 16) == "meta-ll…Instruct"
