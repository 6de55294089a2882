"""What an endpoint's errors are about: its models, its quota, the key, and how a job's headers are made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.contracts.executing import ASIA, LLAMA, US, Book, asking, failed
from tests.contracts.test_openai_run import carried_out
from tests.support.endpoint import Reply, answer, hang, plain, serving
from tests.support.jobs import US as REGION
from tests.support.jobs import spec
from tests.support.openai import KEY, opened, outcome

from beacon_cli.errors import StartError
from beacon_cli.executors import completions
from beacon_cli.executors.openai import OpenaiExecutor
from beacon_cli.model import (
    INFRASTRUCTURE,
    ErrorKind,
    Failed,
    Limits,
    Model,
    OpenaiTarget,
    Question,
    RetryRule,
    Schedule,
    Succeeded,
)
from beacon_cli.plan import Plan
from beacon_cli.results import fold

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The HTTP library knows asyncio alone."""
    return "asyncio"


def _said(status: int, **error: Any) -> Reply:
    return plain(status, json.dumps({"error": error}).encode())


MISSING = {
    "openai": _said(
        404, message="The model `x` does not exist or you do not have access to it.", code="model_not_found"
    ),
    "ollama": _said(404, message='model "x" not found, try pulling it first', type="api_error"),
    "vllm": plain(404, b'{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError"}'),
    "openrouter": _said(404, code=404, message="No endpoints found for some/name:free."),
    "azure": _said(404, code="DeploymentNotFound", message="The API deployment for this resource does not exist."),
}


@pytest.mark.parametrize("name", MISSING)
async def test_a_model_that_is_not_there_is_not_the_regions_fault(name: str) -> None:
    """A 404 that speaks of the model says nothing against the endpoint, and does not give its region up."""
    said = failed(await outcome(MISSING[name]))
    assert (said.kind in INFRASTRUCTURE, said.transient) == (False, False)


@pytest.mark.parametrize(
    "body", [b'{"detail":"Not Found"}', b"<html>404 model page</html>", b"404 page not found"]
)
def test_an_address_that_is_not_there_is_the_regions_fault(body: bytes) -> None:
    """A 404 that speaks of no model means that `base_url` is wrong: the region is given up soon."""
    said = completions.of_status(404, body, {}, 1e9)
    assert isinstance(said, Failed)
    assert said.kind is ErrorKind.NOT_FOUND


async def test_a_missing_model_takes_no_other_model_with_it() -> None:
    """Where one of two models is not there, the other has all of its answers."""

    async def reply(asked: Any, writer: Any) -> None:
        await (MISSING["ollama"] if asked.json["model"] == "gone" else answer())(asked, writer)

    async with serving(reply) as server:
        plan = Plan(
            spec(
                regions=(REGION,),
                models=(Model(id="gone"), Model(id="there")),
                questions=tuple(Question(id=f"q{number}", text="?") for number in range(8)),
                target=OpenaiTarget(base_url=server.url),
                limits=Limits(concurrency=8, per_region=8, timeout=5.0),
                retry=RetryRule(attempts=2, first=0.01),
                schedule=Schedule.LANES,
                in_flight=4,
            )
        )
        standings = fold(await carried_out(plan))
    assert (standings.total("succeeded"), standings.total("failed")) == (8, 8)


def test_a_quota_that_is_used_up_is_not_asked_again() -> None:
    """OpenAI says a 429 where the account has no money left: no wait helps, and the region is given up soon."""
    body = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    for status in (429, 402):
        said = completions.of_status(status, body, {"retry-after": "5"}, 1e9)
        assert isinstance(said, Failed)
        assert (said.kind, said.transient, said.retry_after) == (ErrorKind.THROTTLED, False, None)


def test_googles_errors_are_read() -> None:
    """Its gateway wraps an error in a list, and says in the body when to come back."""
    about = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    error = {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED", "details": [7, about]}
    said = completions.of_status(429, json.dumps([{"error": error}]).encode(), {}, 1e9)
    assert isinstance(said, Failed)
    assert (said.message, said.retry_after) == ("HTTP 429: Quota exceeded", 34.5)
    told = completions.of_status(429, json.dumps([{"error": error}]).encode(), {"retry-after": "7"}, 1e9)
    assert isinstance(told, Failed)
    assert told.retry_after == 7.0


async def test_a_key_that_may_not_list_models_may_ask() -> None:
    """A key restricted to questions is refused the list of models with a 403: the run begins all the same."""
    async with serving(answer()) as server:
        server.models = plain(403, b'{"error": {"message": "Missing scopes: api.model.read"}}')
        async with opened(server, environ={"KEY": KEY}, api_key_env="KEY") as executor:
            assert (await executor.listed(US)).said == "HTTP 403"
            assert isinstance(await executor.attempt(asking(), 1, Book().placed), Succeeded)


async def test_a_refused_key_in_a_header_is_named() -> None:
    """Where the key goes in a header of its own, as Azure's, a refusal names the header's variable."""
    async with serving(answer()) as server:
        server.models = plain(401, b"{}")
        with pytest.raises(StartError, match=r"refuses the key in AZURE_KEY \(HTTP 401\)"):
            async with opened(server, environ={"AZURE_KEY": KEY}, headers={"api-key": "${AZURE_KEY}"}):
                pass


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY} ", f"{KEY}\r\n"])
async def test_a_key_with_a_blank_around_it_is_told(key: str) -> None:
    """A line break at a key's end is a slip in the environment: the variable is named, the key is not."""
    with pytest.raises(StartError, match="EXAMPLE_KEY begins or ends with a blank or a line break") as refused:
        async with OpenaiExecutor(
            OpenaiTarget(base_url="http://127.0.0.1:1/v1", api_key_env="EXAMPLE_KEY"), environ={"EXAMPLE_KEY": key}
        ) as executor:
            await executor.prepare([(US, LLAMA)])
    assert KEY not in str(refused.value)


async def test_a_header_of_the_job_takes_the_place_of_ours() -> None:
    """Whatever its case, each header is sent once."""
    heads: list[bytes] = []

    async def reply(asked: Any, writer: Any) -> None:
        heads.append(asked.head.lower().encode())
        await answer()(asked, writer)

    async with serving(reply) as server, opened(server, headers={"user-agent": "mine"}) as executor:
        await executor.attempt(asking(), 1, Book().placed)
    assert heads[0].count(b"user-agent:") == 1
    assert b"user-agent: mine" in heads[0]


async def test_an_answer_that_comes_later_is_fetched() -> None:
    """Modal's web endpoints answer 303 after 150 s, and again: the answer is fetched where they say."""
    async with serving(answer()) as server:
        ways = [f"/v1/chat/completions?call={number}" for number in range(3)]
        fetched: list[tuple[str, str]] = []

        async def later(asked: Any, writer: Any) -> None:
            fetched.append((asked.path, asked.headers.get("authorization", "")))
            last = asked.path == ways[-1]
            where = ways[ways.index(asked.path) + 1] if not last else ""
            await (answer("At last.") if last else plain(303, b"", location=where))(asked, writer)

        async with opened(server, environ={"KEY": KEY}, api_key_env="KEY") as executor:
            server.reply, server.models = plain(303, b"", location=f"{server.url[:-3]}{ways[0]}"), later
            said = await executor.attempt(asking(), 1, Book().placed)
    assert isinstance(said, Succeeded)
    assert said.response == "At last."
    assert fetched == [(way, f"Bearer {KEY}") for way in ways]


@pytest.mark.parametrize(
    "where", ["/v1/elsewhere?a=1", "http://127.0.0.1:1/v1/chat/completions?a=1", "http://[", ""]
)
async def test_an_answer_elsewhere_is_not_fetched(where: str) -> None:
    """A redirect to another address is none that leads to this answer: nothing more is asked."""
    async with serving(plain(303, b"", location=where)) as server, opened(server) as executor:
        server.models = plain(500, b"")
        said = failed(await executor.attempt(asking(), 1, Book().placed))
    assert (said.kind, said.transient) == (ErrorKind.NOT_FOUND, False)


async def test_an_endpoint_that_puts_off_for_ever_is_left() -> None:
    """Nobody is sent around for ever: after twenty times it is a failure."""
    async with serving(plain(303, b"", location="/v1/chat/completions?a=1")) as server, opened(server) as executor:
        server.models = server.reply
        said = failed(await executor.attempt(asking(), 1, Book().placed))
    assert said.kind is ErrorKind.NOT_FOUND


async def test_an_endpoint_that_is_starting_is_waited_for() -> None:
    """A server that takes the connection and loads its model first keeps no run from beginning; doctor says it."""
    async with serving(answer()) as server:
        server.models = hang
        async with OpenaiExecutor(OpenaiTarget(base_url=server.url), environ={}, patience=0.1) as executor:
            await executor.prepare([(US, LLAMA)])
            assert isinstance(await executor.attempt(asking(), 1, Book().placed), Succeeded)
            with pytest.raises(StartError, match=r"did not answer within 0.1 s; it may be starting"):
                await executor.listed(US)


@pytest.mark.parametrize(
    "raw", ['{"error": {"message": "out of memory"}}', {"message": "out of memory"}, "out of memory"]
)
def test_what_a_provider_behind_a_gateway_says_is_told(raw: Any) -> None:
    """OpenRouter passes on what its provider said, whole or as text: those words are the reason."""
    error = {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "p", "raw": raw}}
    said = completions.of_status(502, json.dumps({"error": error}).encode(), {}, 1e9)
    assert isinstance(said, Failed)
    assert said.message == "HTTP 502: Provider returned error: out of memory"


@pytest.mark.parametrize("raw", ["", "[" * 100_000, "[1, 2]", 7, None, [], {}, "\ud800", {"error": []}])
def test_what_is_passed_on_in_another_form_spoils_no_error(raw: Any) -> None:
    """Whatever a gateway passes on, its own words are told."""
    error = {"code": 502, "message": "Provider returned error", "metadata": {"raw": raw}}
    said = completions.of_status(502, json.dumps({"error": error}).encode(), {}, 1e9)
    assert isinstance(said, Failed)
    assert said.message.startswith("HTTP 502: Provider returned error")


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_for_one_model_is_good_for_others(status: int) -> None:
    """LiteLLM refuses a model that a key may not use with a 401 or a 403: the region's other models go on."""
    error = {"message": "key not allowed to access model.", "type": "key_model_access_denied", "code": str(status)}
    said = completions.of_status(status, json.dumps({"error": error}).encode(), {}, 1e9)
    assert isinstance(said, Failed)
    assert (said.kind, said.transient) == (ErrorKind.BAD_REQUEST, False)


@pytest.mark.parametrize("status", [400, 429])
def test_a_budget_that_is_used_up_is_not_asked_again(status: int) -> None:
    """LiteLLM says that a key's budget is spent with a 429 or a 400: no wait helps, and the region is given up."""
    error = {"message": "Budget has been exceeded!", "type": "budget_exceeded", "code": str(status)}
    said = completions.of_status(status, json.dumps({"error": error}).encode(), {"retry-after": "5"}, 1e9)
    assert isinstance(said, Failed)
    assert (said.kind, said.transient, said.retry_after) == (ErrorKind.THROTTLED, False, None)


async def test_where_one_region_is_not_there_the_others_are_named() -> None:
    """A run begins with all that it was to ask or not at all, and the refusal says how to ask what is there."""
    async with serving(answer()) as server:
        target = OpenaiTarget(base_url={"us": server.url, "asia": "http://127.0.0.1:1/v1"})
        async with OpenaiExecutor(target, environ={}) as executor:
            with pytest.raises(
                StartError, match=r"of asia.*cannot be reached.*ask the others alone: --region us$"
            ):
                await executor.prepare([(US, LLAMA), (ASIA, LLAMA)])
