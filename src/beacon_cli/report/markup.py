"""HTML that is escaped by construction: whatever is not `Html` already becomes text. Pure.

No template engine: a page of tables and pictures is functions all the same, the type checker sees what is escaped,
and nothing is installed for it. Names of tags and attributes are the program's own, values never are markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from beacon_cli.exports.visible import visible

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_VALUE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\n": "&#10;"})
_EMPTY = frozenset({"meta", "input"})
_CLOSED = frozenset({"rect", "line"})
"""Tags that hold nothing: HTML's, which are never closed, and SVG's, which close themselves."""


class Html(str):
    """Markup. Made by this room's functions alone."""

    __slots__ = ()


Child: TypeAlias = "str | Html | None"
Value: TypeAlias = "str | int | float | bool | None"


def text(raw: str) -> Html:
    r"""Any text as markup that shows it. What is hidden or no character is written out: `\x00`, `\u202e`."""
    return Html(visible(raw).translate(_TEXT))


def join(children: Iterable[Child], between: str = "") -> Html:
    """The children one after another; plain strings become text, None nothing."""
    return Html(
        between.join(
            child if isinstance(child, Html) else text(child) for child in children if child is not None and child
        )
    )


def tag(name: str, /, *children: Child, **attributes: Value) -> Html:
    """An element. `class_` is the attribute `class`, `aria_label` is `aria-label`; None and False leave it out."""
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    if name in _CLOSED:
        return Html(f"{opened}/>")
    return Html(f"{opened}>") if name in _EMPTY else Html(f"{opened}>{join(children)}</{name}>")


def prose(sentence: str) -> Html:
    """A sentence in which what stands between backticks is code."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:
        return text(sentence)
    return join(tag("code", part) if number % 2 else part for number, part in enumerate(parts))


def raw(trusted: str) -> Html:
    """The program's own style, script or character references, as they stand: never anything from outside."""
    return Html(trusted)


def weight(shown: str) -> int:
    """The bytes of a text once it is markup in UTF-8."""
    return len(text(shown).encode("utf-8"))


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else visible(str(value))
    return f' {name}="{shown.translate(_VALUE)}"'
