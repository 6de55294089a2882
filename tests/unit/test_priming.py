"""Types that are read by several threads are ready to be read before any thread is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

import beacon_cli

ROOT = Path(beacon_cli.__file__).parent
READS = {"msgspec.json.decode", "msgspec.convert", "msgspec.json.Decoder", "self._ask"}
PRIMES = {"prime", "msgspec.json.Decoder"}


def module(path: Path) -> str:
    """The name under which this file is imported."""
    return ".".join(("beacon_cli", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def calls(tree: ast.AST, functions: set[str]) -> Iterator[ast.Call]:
    """Every call of one of these functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in functions:
            yield node


def structs(call: ast.Call, names: dict[str, object]) -> set[type]:
    """The types of records that are named in a call's arguments."""
    given = [*call.args, *(word.value for word in call.keywords)]
    named = {node.id for each in given for node in ast.walk(each) if isinstance(node, ast.Name)}
    found = {names.get(name) for name in named}
    return {each for each in found if isinstance(each, type) and issubclass(each, msgspec.Struct)}


SOURCES = sorted(path for path in ROOT.rglob("*.py") if "msgspec" in path.read_text(encoding="utf-8"))


def test_every_type_that_is_read_was_primed_as_its_module_was_imported() -> None:
    """No type is worked out in a function, where another thread may be at the same."""
    primed: set[type] = set()
    read: dict[type, str] = {}
    for path in SOURCES:
        names = vars(import_module(module(path)))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for statement in tree.body:
            if isinstance(statement, ast.Expr | ast.Assign):
                primed |= {each for call in calls(statement, PRIMES) for each in structs(call, names)}
        read |= {each: path.name for call in calls(tree, READS) for each in structs(call, names)}
    assert len(read) > 8
    assert {kind.__name__: where for kind, where in read.items() if kind not in primed} == {}


FIRST_READS = """
import sys, threading
import msgspec
from beacon_cli.priming import prime
sys.setswitchinterval(1e-6)
for number in range(300):
    inner = msgspec.defstruct("Inner", [("x", int), ("y", "tuple[str, ...]")])
    outer = msgspec.defstruct("Outer", [("inner", inner), ("more", "dict[str, list[int]]")])
    if {primed}:
        prime(outer)
    barrier = threading.Barrier(3)
    def read(kind, text):
        barrier.wait()
        msgspec.json.decode(text, type=kind)
    both = b'{{"inner": {{"x": 1, "y": []}}, "more": {{}}}}', b'{{"x": 1, "y": ["a"]}}'
    threads = [threading.Thread(target=read, args=each) for each in zip((outer, outer, inner), (both[0], *both))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
"""


@pytest.mark.parametrize("number", range(3))
def test_primed_types_may_be_read_by_several_threads_at_once(number: int) -> None:
    """What ends a process otherwise: three threads that read a type for the first time."""
    done = subprocess.run([sys.executable, "-c", FIRST_READS.format(primed=True)], check=False)
    assert done.returncode == 0, number
