"""Waking over HTTP, where the configuration names an address; the server is pytest-httpx's."""

from __future__ import annotations

import httpx
import modal
import pytest
from modal_proto import api_pb2
from pytest_httpx import HTTPXMock
from tests.contracts.executing import emulating

from beacon_cli.behaviour.script import Script
from beacon_cli.executors.modal import addresses
from beacon_cli.executors.modal.containers import ModalContainers
from beacon_cli.executors.modal.gate import Gate
from beacon_cli.model import Cancelled, ErrorKind, Failed, ModalTarget, Model, Outcome, Region, Succeeded

pytestmark = pytest.mark.anyio

EU = Region(id="eu", app="eu", place="Europe")
ADDRESS = "https://ann--health.modal.run/?model={model.id}&region={region.id}"


@pytest.fixture
def anyio_backend() -> str:
    """As the commands do."""
    return "asyncio"


async def wake(model: str = "m1", address: str = ADDRESS) -> Outcome:
    """Ask the address."""
    return await addresses.by_address(address, EU, Model(id=model))


async def test_what_the_container_says_of_itself_is_kept(httpx_mock: HTTPXMock) -> None:
    """An address that answers 200 with a mapping gives the container, cold or warm, in the form of an answer."""
    body = {"status": "healthy", "container": "ta-1", "cold_start": True, "seconds": {"boot": 3.0, "load": 4.0}}
    httpx_mock.add_response(json=body)
    woken = await wake()
    assert isinstance(woken, Succeeded)
    assert (woken.response, woken.container, woken.cold_start) == ("", "ta-1", True)
    assert woken.provenance["seconds"] == {"boot": 3.0, "load": 4.0}


async def test_names_in_the_address_are_escaped(httpx_mock: HTTPXMock) -> None:
    """A model's id cannot change where the request goes."""
    httpx_mock.add_response(text="ok")
    woken = await wake("../evil?x=&region=us#")
    (request,) = httpx_mock.get_requests()
    assert request.url.host == "ann--health.modal.run"
    assert dict(request.url.params) == {"model": "../evil?x=&region=us#", "region": "eu"}
    assert isinstance(woken, Succeeded), "what is no mapping says that it is well, and nothing else"


async def test_long_waits_are_redirections(httpx_mock: HTTPXMock) -> None:
    """A redirection, which is how Modal answers a request that takes long, is followed."""
    later = "https://ann--health.modal.run/?__modal_function_call_id=fc-1"
    httpx_mock.add_response(status_code=303, headers={"location": later})
    httpx_mock.add_response(url=later, json={"status": "healthy"})
    assert isinstance(await wake(), Succeeded)


async def test_an_address_that_is_not_ready_is_asked_again(
    httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 and 429 mean later."""
    monkeypatch.setattr(addresses, "_AGAIN", 0.0)
    httpx_mock.add_response(status_code=503)
    httpx_mock.add_response(status_code=429)
    httpx_mock.add_response(json={"status": "healthy"})
    assert isinstance(await wake(), Succeeded)
    assert len(httpx_mock.get_requests()) == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(404, ErrorKind.PLATFORM), (500, ErrorKind.PLATFORM), (401, ErrorKind.PLATFORM)]
)
async def test_other_answers_are_failures(httpx_mock: HTTPXMock, status: int, kind: ErrorKind) -> None:
    """Anything else is said with its number, and never raised."""
    httpx_mock.add_response(status_code=status, text="\x1b[31mno")
    woken = await wake()
    assert isinstance(woken, Failed)
    assert (woken.kind, woken.message) == (kind, f"health: the address answers {status}")


async def test_a_server_that_says_error_is_a_failure(httpx_mock: HTTPXMock) -> None:
    """A container that says of itself that it failed is not warm."""
    httpx_mock.add_response(json={"status": "error", "error": "no weights"})
    woken = await wake()
    assert isinstance(woken, Failed)
    assert "no weights" in woken.message


async def test_an_address_that_cannot_be_reached_is_a_failure(httpx_mock: HTTPXMock) -> None:
    """A broken connection is a value."""
    httpx_mock.add_exception(httpx.ConnectError("no route"))
    woken = await wake()
    assert isinstance(woken, Failed)
    assert (woken.kind, woken.transient) == (ErrorKind.CONNECTION, True)


async def test_an_endless_answer_is_cut(httpx_mock: HTTPXMock) -> None:
    """More than is agreed is not read."""
    httpx_mock.add_response(content=b"[" * 1_000_000)
    assert isinstance(await wake(), Succeeded)


@pytest.mark.parametrize("is_ours", [False, True])
async def test_what_has_no_id_is_told_before_it_is_sent(httpx_mock: HTTPXMock, *, is_ours: bool) -> None:
    """Its beginning is on disk whatever becomes of it, for it costs; without a turn none is sent."""
    told: list[str | None] = []
    if is_ours:
        httpx_mock.add_response(text="ok")

    async def placed(call_id: str | None) -> None:
        assert not httpx_mock.get_requests()
        told.append(call_id)

    with emulating(Script()) as here:
        client = modal.Client(here.url, api_pb2.CLIENT_TYPE_CLIENT, (here.token_id, here.token_secret))
        async with client:
            containers = ModalContainers(ModalTarget(app="a", function="f"), client, Gate(client), {"eu": ADDRESS})
            woken = await containers.wake(EU, Model(id="m1"), placed, lambda: is_ours)
    assert isinstance(woken, Succeeded if is_ours else Cancelled)
    assert told == [None] * is_ours
