from __future__ import annotations

import html

import pytest
from hypothesis import given
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.support.hostile import TEXTS
from tests.support.rows import collection, failed, hostile, joined, row

from beacon_cli.collected import Collection
from beacon_cli.exports.markdown import EXCERPT, export
from beacon_cli.exports.tables import line
from beacon_cli.exports.visible import visible
from beacon_cli.model import Question

GITHUB = MarkdownIt("gfm-like", {"html": True})
"""Markdown as GitHub reads it: tables, strikethrough, links made of bare addresses."""
FRAME = {
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "paragraph",
    "heading",
    "bullet_list",
    "list_item",
    "blockquote",
}


def page(given_collection: Collection) -> str:
    """The page."""
    return joined(export(given_collection)).decode()


def inner(text: str) -> list[Token]:
    """What a reader makes of a table's one cell that holds `text` as one line."""
    cells = [each for each in GITHUB.parse(f"| a | b |\n| --- | --- |\n| x{line(text)}x | . |\n") if each.children]
    assert [cell.content for cell in (*cells[:2], *cells[3:])] == ["a", "b", "."]
    return cells[2].children or []


def read_back(text: str) -> str:
    """The text that a reader of the line sees, in which nothing but line ends may be markup."""
    found = inner(text)
    assert {token.type for token in found} <= {"text", "html_inline"}
    assert {token.content for token in found if token.type == "html_inline"} <= {"<br>"}
    return "".join("\n" if token.type == "html_inline" else token.content for token in found)


@given(text=TEXTS)
def test_any_text_stays_text(text: str) -> None:
    """Read as Markdown, a line is the text itself: no link, image, code, emphasis, HTML or further cell."""
    assert read_back(text) == f"x{visible(text)}x".replace("\t", " ")


@pytest.mark.parametrize(
    "text",
    [
        "a | b |\n| c",
        "`code` ``` ~~gone~~ **b** __u__ *i*",
        "<script>alert(1)</script> <img src=x onerror=alert(1)> <!-- x -->",
        "![x](https://example.invalid/pixel.png) [y](javascript:alert(1)) [z]: https://example.invalid",
        "https://example.invalid http://example.invalid www.example.invalid",
        "somebody@example.invalid mailto:somebody@example.invalid ftp://example.invalid //example.invalid",
        "example.com a.b@example.com x.example.org/path wwww.example.com 10.example.com",
        "&lt;b&gt; &#64; \\| \\",
        "$x$ #12 @somebody",
    ],
)
def test_markup_stays_text(text: str) -> None:
    """Pipes, backticks, HTML, images and links are shown, not obeyed."""
    assert read_back(text) == f"x{visible(text)}x".replace("\t", " ")


def test_a_hostile_run_has_no_markup_but_the_pages_own() -> None:
    """In a page of hostile names and answers every block is the page's own, and nothing in it is live."""
    tokens = GITHUB.parse(page(collection(*hostile())))
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= {*FRAME, "inline"}
    inline = {child.type for token in tokens for child in token.children or []}
    assert inline <= {"text", "html_inline", "em_open", "em_close"}


def test_answers_stand_side_by_side() -> None:
    """For each question a table, a row for each model and a column for each region; a failure says why."""
    given_rows = [row(), row(region="eu", response="Paris!"), failed(model="m2", region="eu")]
    questions = {"q1": Question(id="q1", text="Capital of France?")}
    found = page(collection(*given_rows, questions=questions))
    assert "### q1\n\nAsked: Capital of France?\n\n| model | us | eu |\n" in found
    assert "| m1 | Paris. | Paris! |\n| m2 | – | *failed: connection: no route* |\n" in found  # noqa: RUF001 - meant
    assert "| eu | m2 | 0 | 1 | 0 | 0 |\n" in found
    assert "answered: 2 of 3" in found


def test_contexts_and_repeats_stand_apart() -> None:
    """What was asked in another context, or once more, has a table of its own."""
    found = page(collection(row(), row(context="formal"), row(context="formal", repeat=2)))
    assert [each for each in found.splitlines() if each.startswith("### ")] == [
        "### q1",
        "### q1 (formal)",
        "### q1 (formal) \\#2",
    ]


def test_a_long_answer_is_cut_and_says_so() -> None:
    """An excerpt names the length of the whole."""
    assert f"| {'字' * EXCERPT}… *(5,000 characters)* |" in page(collection(row(response="字" * 5000)))


def test_many_failures_are_counted() -> None:
    """After a hundred the page says how many more there are."""
    assert "\nAnd 20 more.\n" in page(collection(*(failed(repeat=number) for number in range(1, 121))))


def test_a_run_that_was_stopped_and_one_without_a_row() -> None:
    """The page says what stopped the run, and that there is nothing where there is nothing."""
    assert "interrupted: SIGINT" in page(collection(row(), interrupted="SIGINT"))
    assert page(collection()).endswith("No answers.\n")
    assert html.escape("a&b") in page(collection(title="a&b"))
