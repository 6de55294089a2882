# ruff: noqa: RUF001 - answers are written as models write them
from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli import wiring
from beacon_cli.errors import SpecError
from beacon_cli.evidence import patterns
from beacon_cli.evidence.languages import LANGUAGES
from beacon_cli.evidence.patterns import Means, Where
from beacon_cli.evidence.readings import Kind, Reader
from beacon_cli.settings import Settings

SHIPPED = tomllib.loads(
    resources.files("beacon_cli.evidence").joinpath("patterns.toml").read_text(encoding="utf-8")
)


def pattern(**changed: Any) -> dict[str, Any]:
    """A table of one pattern, sound but for what is changed; None takes a key away."""
    sound = {"name": "mine", "language": "en", "kind": "hard", "match": "i {cannot} sing"} | changed
    table = {key: value for key, value in sound.items() if value is not None}
    return {"words": {"en": {"cannot": "can't|cannot"}}, "pattern": [table]}


def faults(table: dict[str, Any]) -> list[str]:
    """What is wrong in such a file."""
    return [str(fault) for fault in patterns.parse(table, "p.toml")[1]]


def test_the_shipped_patterns_are_sound() -> None:
    """The file that is not checked while beacon runs is checked here; each language has every kind."""
    found, wrong = patterns.parse(SHIPPED, "patterns.toml")
    assert wrong == []
    assert patterns.parse(SHIPPED, "patterns.toml", checked=True) == (found, [])
    for code in LANGUAGES:
        assert {each.means for each in found if each.language == code} == set(Means)


def test_words_and_gaps_are_filled_in() -> None:
    """Braces stand for alternatives, an ellipsis for up to 40 characters, and case is folded but for escapes."""
    (found,), _ = patterns.parse(pattern(match=r"I {cannot} … \Sing’S"), "p.toml")
    assert found.expression == r"i (?:can't|cannot) [^\n]{0,40}? \Sing's"
    assert (found.means, found.where) == (Means.HARD, Where.ANYWHERE)
    reader = Reader([found])
    assert reader.read("I cannot ever possibly sing's").kind is Kind.HARD_REFUSAL
    assert reader.read(f"I cannot {'la ' * 20}sing's").kind is Kind.SUBSTANTIVE


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"patern": []}, "patern: unknown key; did you mean 'pattern'?"),
        ({"words": 3}, "words: must be tables: [words.en]"),
        ({"words": {"english": {}}}, "words.english: must be a table by a language's code: [words.en]"),
        ({"words": {"en": {"a": 1}}}, "words.en.a: must be text, under a name in lower case"),
        ({"pattern": {}}, "pattern: must be tables, [[pattern]], 1,000 at most"),
        ({"pattern": [3]}, "pattern[0]: must be a table: [[pattern]]"),
        (pattern(match=None), "pattern[0].match: is missing"),
        (pattern(match=" "), "pattern[0].match: must be text, and not empty"),
        (pattern(name="My own"), "pattern[0].name: must be lower-case letters, digits and -, a letter first"),
        (pattern(language="english"), 'pattern[0].language: must be a language\'s code, as "en", or "any"'),
        (
            pattern(kind="harsh"),
            "pattern[0].kind: must be one of hard, stop, soft, hint, disclaimer, courtesy, not 'harsh'",
        ),
        (pattern(where="end"), "pattern[0].where: must be one of opening, anywhere, not 'end'"),
        (pattern(wher="opening"), "pattern[0].wher: unknown key; did you mean 'where'?"),
        (
            pattern(match="{canot}"),
            "pattern[0].match: names the words {canot}, which are not there; did you mean 'cannot'?",
        ),
        (
            pattern(match="(?:a"),
            "pattern[0].match: is no regular expression: missing ), unterminated subpattern at position 0",
        ),
        (
            pattern(match="a)(?:b"),
            "pattern[0].match: is no regular expression: unbalanced parenthesis at position 1",
        ),
        (pattern(match="(a)"), "pattern[0].match: must have no groups that capture: write (?:…)"),
        (pattern(match="a?"), "pattern[0].match: must not match the empty text"),
        (pattern(match="a+b"), "pattern[0].match: must not use +: give the most there may be, as in {0,20}"),
        (pattern(match="a.*b"), "pattern[0].match: must not use *: give the most there may be, as in {0,20}"),
        (pattern(match="ab{2,}"), "pattern[0].match: must not use {2,}: give the most there may be, as in {0,20}"),
        (pattern(match="a" * 5_000), "pattern[0].match: is longer than 4,000 characters"),
    ],
)
def test_a_fault_is_named_with_its_place(table: dict[str, Any], fault: str) -> None:
    """What is wrong in a file of patterns is said with file and key, and the nearest right name."""
    assert faults(table) == [f"p.toml: {fault}"]


@pytest.mark.parametrize(
    "match",
    [
        "(?:a?){20}b",
        "(?:a|a){20}b",
        "(?:a{0,9}){0,9}b",
        "(?:(?:ab?){0,9}c?){0,9}d",
        "a.{0,99}b.{0,99}c.{0,99}d",
        "a…b…c…d",
        "(?:x{0,99}|y)(?:x{0,99}|y)(?:x{0,99}|y)z",
    ],
)
def test_an_expression_that_could_take_long_is_refused(match: str) -> None:
    """Nested and multiplied quantifiers are counted before any text is met."""
    assert faults(pattern(match=match)) == [
        "p.toml: pattern[0].match: can be tried in too many ways: use fewer and smaller quantifiers and gaps"
    ]


@pytest.mark.parametrize(
    "match", ["a…b…c", r"(?: \w{1,12}+){0,3} x", "[*+]b", r"\*a\+", "(?:ab|c){1,4}d", "(?!b)a", "x{3}", "a{,3}b"]
)
def test_an_expression_that_is_safe_is_taken(match: str) -> None:
    """Two gaps, possessive words, classes and escapes of signs are no danger."""
    assert faults(pattern(match=match)) == []


def test_a_name_is_used_once() -> None:
    """Two patterns of one name could not be told apart in a report, also across files."""
    twice = pattern()
    twice["pattern"] *= 2
    assert faults(twice) == ["p.toml: pattern[1].name: there is another pattern of the name 'mine'"]
    assert patterns.parse(pattern(), "p.toml", known=["mine"])[1][0].key == "pattern[0].name"


@given(
    st.dictionaries(
        st.sampled_from(["words", "pattern", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["en", "name", "language", "kind", "where", "match", "a"]), inner, max_size=5
                )
            ),
            max_leaves=12,
        ),
        max_size=3,
    )
)
def test_no_file_raises_anything(table: dict[str, Any]) -> None:
    """Whatever stands in a file of patterns is read or has faults, each of them one printable line."""
    _, wrong = patterns.parse(table, "p.toml")
    assert all(str(fault).isprintable() for fault in wrong)


@given(st.text(st.sampled_from("ab|()?:[]{}0,29*+\\^$.…-"), max_size=24))
def test_no_expression_raises_anything(match: str) -> None:
    """An expression is taken or refused in words; what is taken can be joined with others."""
    found, wrong = patterns.parse(pattern(match=match), "p.toml")
    assert len(found) + len(wrong) == 1
    assert Reader(found).read("I cannot sing. ab ba").kind in Kind


def test_a_users_patterns_extend_the_shipped_ones(tmp_path: Path) -> None:
    """`patterns` of the configuration adds to what is shipped, also in a language that has no patterns."""
    text = "Mi dispiace, non posso rispondere a questa domanda."
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[[pattern]]\nname = "it-cannot"\nlanguage = "it"\nkind = "hard"\nmatch = "non posso rispondere"\n',
        encoding="utf-8",
    )
    assert wiring.reader(Settings(home=tmp_path)).read(text).kind is Kind.SUBSTANTIVE
    reader = wiring.reader(Settings(home=tmp_path, patterns=(mine,)))
    assert (reader.read(text).kind, reader.read(text).because) == (Kind.HARD_REFUSAL, "it-cannot")
    assert reader.read("I'm sorry, but I can't help with that.").kind is Kind.HARD_REFUSAL


def test_all_faults_of_a_users_files_come_at_once(tmp_path: Path) -> None:
    """Every file is read to its end before anything is said, and a file that is not there is a fault."""
    (tmp_path / "a.toml").write_text("[[pattern", encoding="utf-8")
    (tmp_path / "b.toml").write_text("x = 1\ny = 2\n", encoding="utf-8")
    files = tuple(tmp_path / name for name in ("a.toml", "b.toml", "c.toml"))
    with pytest.raises(SpecError) as raised:
        wiring.reader(Settings(home=tmp_path, patterns=files))
    lines = str(raised.value).replace(f"{tmp_path}/", "").splitlines()
    assert [line.split(":")[0] for line in lines] == ["a.toml", "b.toml", "b.toml", "c.toml"]
    assert lines[-1] == "c.toml: is not there; beacon.toml names it under `patterns`"
