"""Small files that want to become large. Costs are counted: parser events, comparisons of names, bytes of memory.

What they come to in seconds is shown by `benchmarks/bombs.py`; no clock decides here.
"""

from __future__ import annotations

import difflib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from beacon_cli import spec
from beacon_cli.errors import SpecError
from beacon_cli.spec import source

HEAD = "id: j\nregions: [us]\nmodels: [m]\n"
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{level}: &a{level} {{<<: [*a{level - 1}, *a{level - 1}]}}\n" for level in range(1, 28)
)
ALIASES = "a0: &a0 [x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
BOMBS = {
    "merge keys": MERGES,
    "merge keys without anchors": "a: {<<: {<<: {<<: {b: 1}}}}\n" * 30,
    "aliases": ALIASES,
    "flow lists, deep": "[" * 100_000,
    "flow mappings, deep": "{a: " * 100_000,
    "block lists, deep": "- " * 100_000,
    "block mappings, deep": "\n".join(" " * depth + "a:" for depth in range(2000)),
    "complex keys, deep": "? " * 100_000,
    "flow list, wide": "[" + "a, " * 3_000_000 + "]",
    "flow mapping, wide": "{" + ", ".join(f"k{number}" for number in range(300_000)) + "}",
    "empty lists": "[" + "[]," * 3_000_000 + "]",
    "anchors": "".join(f"k{number}: &a{number} v\n" for number in range(50_000)),
    "tags": "!!python/object/apply:os.system [echo]\n",
}


WIDE = {name for name in BOMBS if "wide" in name or "empty" in name}
LOADERS = [loader for loader in (getattr(yaml, "CSafeLoader", None), yaml.SafeLoader) if loader]


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: str(loader.__name__))
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(
    name: str, loader: Any, allowed: spec.Allowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fault, after no more parser events than the limits allow: of depth or, where it is wide, of values.

    Anchors, aliases, merge keys and tags are refused where they first stand, so nothing is ever multiplied.
    """
    taken = 0

    class Counting(loader):  # type: ignore[misc]  # either of PyYAML's
        def get_event(self) -> Any:
            nonlocal taken
            taken += 1
            return super().get_event()

    monkeypatch.setattr(source, "_LOADER", Counting)
    small = loader is yaml.SafeLoader  # so slow that it gets a beginning
    with pytest.raises(SpecError) as raised:
        spec.parse(BOMBS[name].encode()[: 20_000 if small else None], Path("bomb.yaml"), allowed)
    assert len(raised.value.faults) == 1
    assert taken <= (source.MOST if name in WIDE else 2 * source.DEEPEST) + 4


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory(name: str, allowed: spec.Allowed) -> None:
    """Refusing a bomb takes at most 50 MB beside the file itself."""
    data = BOMBS[name].encode()
    tracemalloc.start()
    try:
        with pytest.raises(SpecError):
            spec.parse(data, Path("bomb.yaml"), allowed)
        assert tracemalloc.get_traced_memory()[1] - 2 * len(data) <= 50_000_000
    finally:
        tracemalloc.stop()


def test_nesting_up_to_the_limit_is_allowed() -> None:
    """Fifty levels are read, fifty-one refused with the place."""
    read: Callable[[str], source.Document] = lambda text: source.parse(text, "x")  # noqa: E731 - one short name
    assert read("[" * 50 + "]" * 50).tree
    with pytest.raises(SpecError, match=r"^x:1:51: nested deeper than 50 levels$"):
        read("[" * 51 + "]" * 51)


def test_ten_thousand_questions_fit(allowed: spec.Allowed) -> None:
    """The cap on values leaves room for a long list in the job file itself."""
    rows = "".join(f'  - {{id: q{number}, category: c, text: "What is {number}?"}}\n' for number in range(10_000))
    text = "id: j\nregions: [us]\nmodels: [m]\nquestions:\n" + rows
    assert len(spec.parse(text.encode(), Path("job.yaml"), allowed).questions) == 10_000


@pytest.mark.parametrize(
    "crowd",
    [
        HEAD + "questions: [" + "{}," * 40_000 + "]",
        HEAD + "questions: [{" + "".join(f"textt{number}: x, " for number in range(40_000)) + "}]",
        HEAD + "system_prompt: '" + "{region.plaice}" * 500_000 + "'",
        "regions: [" + "east-us-asia-pacific-europe, " * 80_000 + "]",
        "models: [" + "m, " * 80_000 + "]",
        "a: {" + "b: 1, " * 40_000 + "}",
        "ignore: [" + "system-prompt, " * 80_000 + "]",
    ],
    ids=["empty rows", "keys", "placeholders", "regions", "models", "repeated keys", "ignored"],
)
def test_a_crowd_of_faults_costs_what_is_shown(
    crowd: str, allowed: spec.Allowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many wrong things as fit give the first hundred faults; no more names are compared than these need."""
    compared = 0
    get_close_matches = difflib.get_close_matches

    def counted(*arguments: Any, **options: Any) -> list[str]:
        nonlocal compared
        compared += 1
        return get_close_matches(*arguments, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    with pytest.raises(SpecError) as raised:
        spec.parse(crowd.encode(), Path("job.yaml"), allowed)
    assert len(raised.value.faults) == 101
    assert raised.value.faults[-1].message == "there are more faults; mend these first"
    assert compared <= 500
