from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from tests.support.hostile import TEXTS as ANY
from tests.support.reports import TEXTS

from beacon_cli.exports.visible import visible
from beacon_cli.report.markup import prose, tag, text, weight


class Reader(HTMLParser):
    """Collects what a page says and which tags and attributes it has."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Add it."""
        self.said += data


@given(ANY)
def test_any_text_stays_text(raw: str) -> None:
    """As a child and as an attribute's value, a text makes no tag and reads as what is visible of it."""
    read = Reader(tag("p", raw, title=raw))
    assert (read.tags, read.said) == (["p"], visible(raw))
    assert read.attributes == [("title", visible(raw))]


@pytest.mark.parametrize("raw", TEXTS)
def test_what_a_page_might_obey_is_escaped(raw: str) -> None:
    """No hostile text leaves a tag or a quote open, and all of it can be written as UTF-8."""
    made = text(raw)
    assert "<" not in made
    assert weight(raw) == len(made.encode("utf-8"))


def test_what_is_left_out_is_not_written() -> None:
    """Attributes that are None or False are absent, those that are True stand alone, numbers are short."""
    made = tag("div", None, "", tag("meta", charset="utf-8"), hidden=True, open=False, lang=None, x=1.50)
    assert made == '<div hidden x="1.5"><meta charset="utf-8"></div>'
    assert tag("rect", x=0.123456) == '<rect x="0.12"/>'


def test_code_in_a_sentence_is_marked() -> None:
    """What stands between backticks is code, a lone backtick is itself."""
    assert prose("use `a<b` now") == "use <code>a&lt;b</code> now"
    assert prose("one ` alone") == "one ` alone"
