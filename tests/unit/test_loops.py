"""Which event loop a run gets, and how long a thread may keep the others waiting."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

import msgspec
import pytest
from tests.support.jobs import spec

from beacon_cli.model import OpenaiTarget, Spec
from beacon_cli.operations import loops


@pytest.fixture
def endpoint() -> Spec:
    """A job that asks an endpoint."""
    return msgspec.structs.replace(spec(), target=OpenaiTarget(base_url="http://127.0.0.1:9/v1"))


def _installed(monkeypatch: pytest.MonkeyPatch, *, is_there: bool) -> None:
    monkeypatch.setattr(loops, "find_spec", lambda name: ModuleSpec(name, None) if is_there else None)


def test_many_requests_at_endpoints_go_faster(monkeypatch: pytest.MonkeyPatch, endpoint: Spec) -> None:
    """A thousand requests at an endpoint get uvloop, where it is installed."""
    _installed(monkeypatch, is_there=True)
    assert loops.options(endpoint, 1_000) == {"use_uvloop": True}


def test_a_run_that_gains_nothing_by_it_does_not_import_it(
    monkeypatch: pytest.MonkeyPatch, endpoint: Spec
) -> None:
    """Few requests, and calls at Modal, go on asyncio's own loop."""
    _installed(monkeypatch, is_there=True)
    assert loops.options(endpoint, 999) == {}
    assert loops.options(spec(), 100_000) == {}


def test_without_it_nothing_fails(monkeypatch: pytest.MonkeyPatch, endpoint: Spec) -> None:
    """It is an extra: where it is not installed, asyncio's own loop does."""
    _installed(monkeypatch, is_there=False)
    assert loops.options(endpoint, 100_000) == {}


@pytest.mark.parametrize(("before", "after"), [(0.005, 0.0025), (0.001, 0.001)])
def test_no_thread_waits_long_for_its_turn(before: float, after: float) -> None:
    """While a run goes on threads take turns twice as often as is usual; who wants it oftener has it so."""
    usual = sys.getswitchinterval()
    try:
        sys.setswitchinterval(before)
        loops.share()
        assert sys.getswitchinterval() == pytest.approx(after)
    finally:
        sys.setswitchinterval(usual)
