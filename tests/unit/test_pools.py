"""A pool at Modal has one key, and what is no key is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.executors.modal.pools import Pool
from beacon_cli.model import ModalTarget, Model, Region

EU = Region(id="eu", app="eu", place="Europe")
NAMES = st.text(min_size=1, max_size=50).filter(str.isprintable)
METHODS = st.from_regex(r"[a-z][a-z_0-9]{0,20}", fullmatch=True)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
POOLS = st.builds(Pool, app=NAMES, function=NAMES, environment=st.just("") | NAMES) | st.builds(
    Pool,
    app=NAMES,
    cls=NAMES,
    method=METHODS,
    parameters=st.dictionaries(st.text(max_size=10), VALUES, max_size=3),
    environment=st.just("") | NAMES,
)


@given(POOLS)
def test_a_key_says_everything_about_its_pool(pool: Pool) -> None:
    """A pool read back from its key is the same pool, and the key is one line of printable ASCII."""
    key = pool.key()
    assert Pool.parse(key) == pool
    assert key.isascii()
    assert key.isprintable()


def test_keys_have_the_agreed_form() -> None:
    """The form is written down in stores that other versions read: it does not change."""
    by_class = ModalTarget(
        app="mine-{region.app}", cls="Model", method="generate", parameters={"model": "{model.id}"}
    )
    by_function = ModalTarget(app="mine-{region.app}", function="run_inference")
    model = Model(id="möwe")
    assert Pool.of(by_class, EU, model).key() == (
        r'{"app":"mine-eu","cls":"Model","method":"generate","parameters":{"model":"m\u00f6we"}}'
    )
    assert Pool.of(by_function, EU, model).key() == '{"app":"mine-eu","function":"run_inference"}'


def test_an_environment_of_ones_own_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps of one name in two environments of a workspace are two pools."""
    target = ModalTarget(app="mine", function="f")
    everywhere = Pool.of(target, EU, Model(id="m"))
    monkeypatch.setenv("MODAL_ENVIRONMENT", "dev")
    here = Pool.of(target, EU, Model(id="m"))
    assert here.key() == '{"app":"mine","environment":"dev","function":"f"}'
    assert here != everywhere


HOSTILE: list[Any] = [
    "",
    "null",
    "[]",
    "{",
    "[" * 100_000,
    '{"app":"a"}',
    '{"app":"a","function":""}',
    '{"app":"","function":"f"}',
    '{"app":1,"function":"f"}',
    '{"app":"a","function":"f","cls":"C"}',
    '{"app":"a","cls":"C","parameters":{}}',
    '{"app":"a","cls":"C","method":"__class__","parameters":{}}',
    '{"app":"a","cls":"C","method":"m.n","parameters":{}}',
    '{"app":"a","cls":"C","method":"m","parameters":[]}',
    '{"app":"a\\u001b[2J","function":"f"}',
    '{"app":"a\\ud800","function":"f"}',
    '{"app":"a","function":"f","url":"http://localhost"}',
    '{"app": "a", "function": "f"}',
    '{"function":"f","app":"a"}',
    '{"app":"b","app":"a","function":"f"}',
    '{"app":"a","function":"f"}\n',
    '{"app":"\\u0061","function":"f"}',
    json.dumps({"app": "a", "function": "f" * 500}, separators=(",", ":")),
    json.dumps({"app": "a", "cls": "C", "method": "m", "parameters": {"p": "x" * 10**6}}, separators=(",", ":")),
]


@pytest.mark.parametrize("key", HOSTILE)
def test_what_is_no_key_is_none(key: str) -> None:
    """A key of another form, in other words or with more in it is no pool, however nearly it is one."""
    assert Pool.parse(key) is None


@given(st.text())
def test_no_text_does_harm(key: str) -> None:
    """Any text at all is a key or none, and a key is only ever its pool's own."""
    pool = Pool.parse(key)
    assert pool is None or pool.key() == key
