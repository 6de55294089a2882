"""The emulator by itself: what an unmodified Modal client, or one that dies, may rely on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import modal
import modal.config
import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientStub

from beacon_cli.behaviour import timing
from beacon_cli.emulator import ledger as ledgers
from beacon_cli.emulator import server
from beacon_cli.emulator.deployment import apps_for
from beacon_cli.emulator.provider import Settings
from beacon_cli.errors import StartError, UsageError
from beacon_cli.executors.modal import ModalExecutor
from beacon_cli.model import ModalTarget, Model, Region

pytestmark = pytest.mark.anyio
US = Region(id="us", app="us", place="the US")
TARGET = ModalTarget(app="project-beacon-hf-{region.app}", function="run_inference")


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


def client_of(address: server.Address) -> modal.Client:
    """A client of the SDK that the emulator lets in."""
    token = address.token_id, address.token_secret
    return modal.Client(address.url, api_pb2.CLIENT_TYPE_CLIENT, token)


async def test_scaling_is_read_changed_and_shown() -> None:
    """The autoscaler's settings can be read and changed, a minimum boots at once, and the counts show it."""
    with server.running(Settings(speed=1000)) as address:
        async with client_of(address) as client:
            cls = modal.Cls.from_name("project-beacon-hf-eu", "Model", client=client)
            await cls.hydrate.aio()
            method = cls(model="mistral-7b").generate
            before = await method.autoscaler.settings.aio()
            assert (before.min_containers, before.max_containers, before.scaledown_window) == (0, 1, 120)
            after = await method.autoscaler.update.aio(min_containers=1, scaledown_window=300)
            assert (after.min_containers, after.scaledown_window) == (1, 300)
            stats = await method.get_current_stats.aio()
            assert (stats.backlog, stats.num_total_runners, stats.num_running_inputs) == (0, 1, 0)


async def test_small_answers_go_out_at_once() -> None:
    """No answer waits for the acknowledgement of another (40 ms): the quickest of the last ten is far below.

    The first of a connection would not show it: they are acknowledged at once.
    """
    took: list[float] = []
    with server.running() as address:
        async with stub_of(address) as stub:
            for _ in range(40):
                began = time.perf_counter()
                await stub.AuthTokenGet(api_pb2.AuthTokenGetRequest(), metadata=credentials(address))
                took.append(time.perf_counter() - began)
    assert min(took[-10:]) < 0.02


async def test_health_answers_in_both_forms() -> None:
    """`health` is there as a method and as a function, takes no time and says which model and region."""
    with server.running(Settings(timings=timing.Timings(boot=(0, 0)))) as address:
        async with client_of(address) as client:
            cls = modal.Cls.from_name("project-beacon-hf-apac", "Model", client=client)
            await cls.hydrate.aio()
            function = modal.Function.from_name("project-beacon-hf-apac", "health", client=client)
            method = await cls(model="m").health.remote.aio()
            plain = await function.remote.aio()
    assert (method["status"], method["model"], method["region"]) == ("healthy", "m", "asia")
    assert plain["status"] == "healthy"


async def test_the_three_variables_lead_any_client_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exports set, an executor without an address of its own finds the emulator."""
    with server.running(Settings(speed=1000)) as address:
        for name, value in address.environment().items():
            monkeypatch.setenv(name, value)
        async with ModalExecutor(TARGET) as executor:
            await executor.prepare([(US, Model(id="m"))])


async def test_missing_credentials_are_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials nothing starts, and the line says how to get them or do without."""
    monkeypatch.delenv("MODAL_TOKEN_ID", raising=False)
    monkeypatch.delenv("MODAL_TOKEN_SECRET", raising=False)
    monkeypatch.setattr(modal.config, "_user_config", {})
    with server.running() as address:
        monkeypatch.setenv("MODAL_SERVER_URL", address.url)
        with pytest.raises(StartError, match="modal token new"):
            async with ModalExecutor(TARGET):
                pytest.fail("it opened")


async def test_what_is_not_played_says_its_name() -> None:
    """An RPC that the emulator does not play is refused as unimplemented, by name."""
    with server.running() as address:
        async with stub_of(address) as stub:
            with pytest.raises(GRPCError, match="SecretList") as refused:
                await stub.SecretList(api_pb2.SecretListRequest(), metadata=credentials(address))
    assert refused.value.status is Status.UNIMPLEMENTED


async def test_a_request_sent_twice_places_one_call() -> None:
    """A retry of the SDK's, known by its idempotency key, is answered with the first call."""
    with server.running(Settings(speed=1000)) as address:
        async with stub_of(address) as stub:
            found = await stub.FunctionGet(
                api_pb2.FunctionGetRequest(app_name="project-beacon-hf-us", object_tag="health"),
                metadata=credentials(address),
            )
            item = api_pb2.FunctionPutInputsItem(
                input=api_pb2.FunctionInput(args=b"\x82\x80\xa0", data_format=api_pb2.DATA_FORMAT_CBOR)
            )
            request = api_pb2.FunctionMapRequest(function_id=found.function_id, pipelined_inputs=[item])
            ids = [
                (
                    await stub.FunctionMap(request, metadata={**credentials(address), "x-idempotency-key": key})
                ).function_call_id
                for key in ("one", "one", "two")
            ]
    assert ids[0] == ids[1] != ids[2]


async def test_malformed_arguments_do_no_harm() -> None:
    """Arguments that cannot be decoded are refused, and the emulator goes on."""
    with server.running(Settings(speed=1000)) as address:
        async with stub_of(address) as stub:
            metadata = credentials(address)
            found = await stub.FunctionGet(
                api_pb2.FunctionGetRequest(app_name="project-beacon-hf-us", object_tag="health"), metadata=metadata
            )
            for data in (b"\xff\xff", b"\x01", b""):
                item = api_pb2.FunctionPutInputsItem(
                    input=api_pb2.FunctionInput(args=data, data_format=api_pb2.DATA_FORMAT_CBOR)
                )
                request = api_pb2.FunctionMapRequest(function_id=found.function_id, pipelined_inputs=[item])
                with pytest.raises(GRPCError) as refused:
                    await stub.FunctionMap(request, metadata=metadata)
                assert refused.value.status is Status.INVALID_ARGUMENT


def test_apps_can_have_other_names() -> None:
    """Regions that are known keep their place under another app name; new ones are played too."""
    apps = apps_for({"mine-eu": "eu", "mine-mars": "mars"})
    assert [(app.name, app.region, app.modal_region) for app in apps] == [
        ("mine-eu", "eu", "europe-west4-a"),
        ("mine-mars", "mars", ""),
    ]


def test_nothing_is_left_running() -> None:
    """After `running` its thread is gone and its port is closed."""
    before = threading.active_count()
    with server.running() as address:
        port = int(address.url.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port)).close()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_that_is_taken_is_told() -> None:
    """A port in use is one line that says so."""
    with server.running() as address:
        port = int(address.url.rpartition(":")[2])
        with pytest.raises(StartError, match="cannot be used"), server.running(port=port):
            pytest.fail("it started")


def test_a_ledger_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A ledger in a folder that is not there is one line that names it."""
    with (
        pytest.raises(StartError, match=r"nowhere.ledger"),
        server.running(ledger=tmp_path / "nowhere" / "ledger"),
    ):
        pytest.fail("it started")


@pytest.mark.parametrize("text", ["{", '{"rules": [{"effect": "explode"}]}'])
def test_a_script_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    """A file that is no script is one line that names it and what is wrong."""
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"script\.json"):
        server.main(script=path)


@contextmanager
def emulator_process(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """`main` in a process of its own, and the variables that it printed."""
    program = (
        f"from beacon_cli.emulator import server; from pathlib import Path; server.main({', '.join(options)})"
    )
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().removeprefix("export ").strip() for _ in range(3)]
            yield process, dict(line.split("=", 1) for line in lines)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_by_itself_it_prints_the_variables_and_ends_on_a_signal(number: signal.Signals) -> None:
    """The command prints its exports, its speed the last, and a signal ends it at once, with 0 and silence."""
    with emulator_process("speed=20") as (process, variables):
        assert variables.keys() == {"MODAL_SERVER_URL", "MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET"}
        assert process.stdout is not None
        assert process.stdout.readline() == "export BEACON_EMULATOR_SPEED=20\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")


CLIENT = """
import modal, sys, time
function = modal.Function.from_name("project-beacon-hf-us", "run_inference")
for n in range(3):
    call = function.spawn(model_name="llama", prompt=f"question {n}", temperature=0.1, max_tokens=5)
    print(call.object_id, flush=True)
time.sleep(60)
"""


def test_calls_outlive_a_client_that_is_killed(tmp_path: Path) -> None:
    """After `kill -9` of the client its calls run to their end, in turn, and stay fetchable."""
    ledger = tmp_path / "ledger.jsonl"
    with emulator_process("speed=100", f"ledger=Path({str(ledger)!r})") as (_, variables):
        environment = {**os.environ, **variables, "MODAL_PAYLOAD_FORMAT": "cbor"}
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT], stdout=subprocess.PIPE, text=True, env=environment
        ) as it:
            assert it.stdout is not None
            ids = [it.stdout.readline().strip() for _ in range(3)]
            it.kill()
        deadline = time.monotonic() + 20
        done: list[Any] = []
        while len(done) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
            done = [line["call"] for line in ledgers.read(ledger) if line["event"] == "finished"]
        assert done == ids

        async def fetch() -> list[Any]:
            url, token = (
                variables["MODAL_SERVER_URL"],
                (variables["MODAL_TOKEN_ID"], variables["MODAL_TOKEN_SECRET"]),
            )
            async with modal.Client(url, api_pb2.CLIENT_TYPE_CLIENT, token) as client:
                return [await modal.FunctionCall.from_id(one, client=client).get.aio(timeout=0) for one in ids]

        assert [answer["status"] for answer in anyio.run(fetch)] == ["success"] * 3


class stub_of:  # noqa: N801 - used as a function
    """A bare gRPC client of the emulator."""

    def __init__(self, address: server.Address) -> None:
        self._port = int(address.url.rpartition(":")[2])

    async def __aenter__(self) -> ModalClientStub:
        self._channel = Channel("127.0.0.1", self._port)
        return ModalClientStub(self._channel)

    async def __aexit__(self, *_: object) -> None:
        self._channel.close()


def credentials(address: server.Address) -> dict[str, str]:
    """What lets a request in."""
    return {"x-modal-token-id": address.token_id, "x-modal-token-secret": address.token_secret}
