"""Whatever a remote function returns becomes an outcome that can be written down, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.executors import answers
from beacon_cli.executors.answers import DROPPED, MESSAGE_CHARACTERS, PROVENANCE_BYTES, cut, outcome_of
from beacon_cli.model import ErrorKind, Failed, Succeeded

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.dates(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner) | st.sets(st.text())
    ),
    max_leaves=20,
)
RETURNED = st.dictionaries(
    st.sampled_from(["response", "status", "error", "container", "task_id", "cold_start", "API_TOKEN", "x"]),
    ANYTHING | st.just("error"),
)


@given(ANYTHING | RETURNED)
def test_every_return_value_becomes_an_outcome_that_can_be_journalled(returned: Any) -> None:
    """Anything at all gives a success or a failure that strict JSON can carry, and nothing is lost on the way."""
    outcome = outcome_of(returned, 1000)
    assert isinstance(outcome, Succeeded | Failed)
    record = msgspec.to_builtins(outcome)
    assert msgspec.convert(json.loads(json.dumps(record, allow_nan=False)), type=type(outcome)) == outcome


SOON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["sk-" + "a" * 20, "hf_"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("token"), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.text() | st.integers() | st.sampled_from(["model", "usage", "apiKey", "container"]), SOON, max_size=40
    )
)
def test_what_is_harmless_at_a_glance_comes_out_as_after_a_close_look(said: dict[Any, Any]) -> None:
    """The short way for provenance gives what the long way gives, or leaves it to that one."""
    short = answers._harmless(said)
    if short is not None:
        assert short == answers._held_to_limits(said)
        assert list(short) == list(said)


def test_the_short_way_is_taken_for_what_endpoints_say() -> None:
    """What an endpoint says beside its answer needs no close look."""
    usage = {"prompt_tokens": 20, "completion_tokens": 60, "share": 0.5, "cached": None}
    said = {"id": "chatcmpl-1", "model": "bench", "usage": usage, "finish_reason": "stop", "final": True}
    assert answers._harmless(said) == said
    assert answers._harmless({**said, "note": "sk-" + "a" * 20}) is None
    assert answers._harmless({**said, "note": "a" * 2_000}) is None
    assert answers._harmless({**said, "usage": {"token": "x"}}) is None


@given(st.text(), st.integers(0, 200))
def test_a_cut_keeps_whole_characters_and_tells_the_length(text: str, most: int) -> None:
    """The cut text is a beginning of the whole, at most so long, and less than one character shorter."""
    kept, cut_from = cut(text, most)
    whole = text.encode()
    assert text.startswith(kept)
    assert len(kept.encode()) <= most
    assert cut_from == (None if len(whole) <= most else len(whole))
    assert kept == text or len(kept.encode()) > most - 4


def test_a_cut_carries_lone_surrogates() -> None:
    """Text that UTF-8 cannot carry is cut like any other."""
    assert cut("a\ud800b" * 10, 4) == ("a\ud800", 50)


def test_an_error_is_the_models_own_words() -> None:
    """`status: error` is a failure of the model with its words, cut, and with the rest kept."""
    outcome = outcome_of({"status": "error", "error": "e" * 10_000, "region": "eu", "response": "no"}, 1000)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.transient) == (ErrorKind.MODEL, True)
    assert len(outcome.message) < MESSAGE_CHARACTERS + 50
    assert outcome.provenance == {"region": "eu"}


def test_container_and_warmth_are_recognised() -> None:
    """`container`, or else `task_id`, and `cold_start` become fields; of a wrong type they are left out."""
    good = outcome_of({"response": "a", "task_id": "ta-1", "cold_start": False, "model": "m"}, 10)
    odd = outcome_of({"response": "a", "container": 7, "cold_start": "yes"}, 10)
    assert isinstance(good, Succeeded)
    assert (good.container, good.cold_start, good.provenance) == ("ta-1", False, {"model": "m"})
    assert isinstance(odd, Succeeded)
    assert (odd.container, odd.cold_start) == (None, None)


@pytest.mark.parametrize(
    "key",
    ["MODAL_IDENTITY_TOKEN", "token", "hf_token", "apiKey", "api_key", "password", "client_secret", "TOKEN_ID"],
)
def test_secrets_are_dropped_and_it_is_said(key: str) -> None:
    """What is named like a credential is not kept, at any depth; its name is."""
    outcome = outcome_of({"response": "a", key: "hunter2", "env": {key: "hunter2"}}, 10)
    assert isinstance(outcome, Succeeded)
    assert "hunter2" not in str(outcome)
    assert outcome.provenance[DROPPED] == [key, key]


@pytest.mark.parametrize("value", [["hunter2"], {"value": "hunter2"}, [{"deep": ["hunter2"]}]])
def test_secrets_in_lists_and_mappings_are_dropped(value: Any) -> None:
    """A credential is one too where it is wrapped up."""
    outcome = outcome_of({"response": "a", "api_key": value, "more": [{"auth_token": value}]}, 10)
    assert isinstance(outcome, Succeeded)
    assert "hunter2" not in str(outcome)
    assert outcome.provenance == {"more": [{}], DROPPED: ["api_key", "auth_token"]}


def test_secrets_within_texts_are_masked() -> None:
    """An environment that a remote function dumps into provenance or an error loses its credentials."""
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtb2RhbCJ9.c2lnbmF0dXJl"  # noqa: S105  a made-up one
    dump = f"environ({{'MODAL_IDENTITY_TOKEN': '{token}', 'HF_TOKEN': 'hunter2'}})"
    answered = outcome_of({"response": "a", "env": [["MODAL_IDENTITY_TOKEN", token]], dump: {"log": dump}}, 10)
    failed = outcome_of({"status": "error", "error": "x" * 1_990 + dump, "log": dump}, 10)
    for outcome in (answered, failed):
        assert token not in str(outcome)
        assert token[:20] not in str(outcome)
        assert "hunter2" not in str(outcome)


def test_an_answer_is_never_masked() -> None:
    """What a model says is kept word for word, credentials or not."""
    said = "MODAL_TOKEN_SECRET=as-Abc123Abc123Abc123Abc1"
    outcome = outcome_of({"response": said}, 1000)
    assert isinstance(outcome, Succeeded)
    assert outcome.response == said


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_become_null(number: float) -> None:
    """NaN and the infinities are no JSON: null stands in their place, at any depth, and the answer counts."""
    outcome = outcome_of({"response": "a", "loss": number, "all": [1.5, {"x": number}]}, 10)
    assert isinstance(outcome, Succeeded)
    assert outcome.provenance == {"loss": None, "all": [1.5, {"x": None}]}


def test_the_cap_counts_bytes() -> None:
    """A text of four-byte characters is as large as it is on the disk."""
    outcome = outcome_of({"response": "a", "log": "\U0001f600" * (PROVENANCE_BYTES // 4)}, 10)
    assert isinstance(outcome, Succeeded)
    assert outcome.provenance == {DROPPED: ["log"]}


def test_nobody_else_says_what_beacon_dropped() -> None:
    """The key under which beacon names what it left out cannot be brought along."""
    outcome = outcome_of({"response": "a", DROPPED: ["nothing"]}, 10)
    assert isinstance(outcome, Succeeded)
    assert outcome.provenance == {}


def test_what_was_returned_is_left_alone() -> None:
    """The outcome is a copy: the caller's value keeps what was dropped."""
    returned = {"response": "a", "inner": {"token": "hunter2"}}
    outcome_of(returned, 10)
    assert returned == {"response": "a", "inner": {"token": "hunter2"}}


def test_counts_of_tokens_are_no_secrets() -> None:
    """`tokens_generated` and the like stay."""
    outcome = outcome_of({"response": "a", "tokens_generated": 5, "max_tokens": 9, "token_count": 3}, 10)
    assert isinstance(outcome, Succeeded)
    assert outcome.provenance == {"tokens_generated": 5, "max_tokens": 9, "token_count": 3}


def test_provenance_is_capped_by_leaving_out_the_largest() -> None:
    """More than the cap is not kept; what fits stays, and what went is named."""
    outcome = outcome_of({"response": "a", "log": "x" * PROVENANCE_BYTES, "model": "m"}, 10)
    assert isinstance(outcome, Succeeded)
    assert outcome.provenance == {"model": "m", DROPPED: ["log"]}


def bomb() -> dict[str, Any]:
    """A value that doubles with each of its levels when it is walked."""
    level: Any = "lol"
    for _ in range(35):
        level = [level, level]
    return {"response": "a", "bomb": level}


def cycle() -> dict[str, Any]:
    """A value that holds itself."""
    inner: list[Any] = []
    inner.append(inner)
    return {"response": "a", "cycle": inner}


@pytest.mark.parametrize("returned", [bomb(), cycle(), {"response": "a", "n": 2**70}, {"response": "a", 1: 2}])
def test_what_cannot_be_written_down_is_refused_quickly(returned: dict[Any, Any]) -> None:
    """Cycles, bombs, integers beyond 64 bits and keys that are not text are bad answers."""
    outcome = outcome_of(returned, 10)
    assert isinstance(outcome, Failed)
    assert outcome.kind is ErrorKind.BAD_ANSWER
