"""Names as people type them: shown safely, matched whatever the case, and put right. Pure; knows `model` alone.

Must not know where a name came from (a file, the command line, the environment): each caller says that itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from beacon_cli.model import Region

_LISTED = 12
"""So many known names fit into one line of error."""


def printable(text: str, *, most: int = 200) -> str:
    r"""`text` on one line, safe for a terminal: what is not printable becomes `\x1b` or `\u202e`.

    What is longer than `most` characters is cut and ends with an ellipsis.
    """
    cut = text if len(text) <= most else text[: most - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else _escaped(char) for char in cut)


def quoted(text: str, *, most: int = 60) -> str:
    """`printable(text)` in quotes."""
    return f"'{printable(text, most=most)}'"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` most likely means, whatever the case, or None."""
    from difflib import get_close_matches  # only a mistake needs it

    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.casefold(), name)
    found = get_close_matches(word[:100].casefold(), folded, n=1)
    return folded[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to add to "unknown …": `; did you mean 'eu'?`, else the known names if they are few, else nothing."""
    names = tuple(known)
    near = nearest(word, names)
    if near is not None:
        return f"; did you mean {quoted(near)}?"
    if 0 < len(names) <= _LISTED:
        return f"; known: {', '.join(printable(name) for name in names)}"
    return ""


class RegionNames:
    """Regions by id and alias, whatever the case. Of two regions with one name the first has it."""

    def __init__(self, regions: Iterable[Region]) -> None:
        self._ids: list[str] = []
        self._by_name: dict[str, Region] = {}
        for region in regions:
            self._ids.append(region.id)
            for name in (region.id, *region.aliases):
                self._by_name.setdefault(name.casefold(), region)

    def get(self, name: str) -> Region | None:
        """The region that `name` means, or None."""
        return self._by_name.get(name.casefold())

    def unknown(self, name: str) -> str:
        """The words for a name that means no region, with the nearest right one."""
        near = nearest(name, self._by_name)
        if near is None:
            return f"unknown region {quoted(name)}; known: {', '.join(self._ids)}"
        region = self._by_name[near]
        return f"unknown region {quoted(name)}; did you mean {quoted(region.id)}?"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
