"""What providers' filters answer, each in its own form, as their documents and users show it: refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.contracts.executing import failed
from tests.support.endpoint import answer, plain
from tests.support.openai import outcome

from beacon_cli.executors import completions, filters
from beacon_cli.model import ErrorKind, Failed, Succeeded

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The HTTP library knows asyncio alone."""
    return "asyncio"


def _error(**error: Any) -> dict[str, Any]:
    return {"error": error}


FOUND = {"hate": {"filtered": True, "severity": "high"}}
WORDS: dict[str, tuple[int, Any]] = {
    "azure": (400, _error(code="content_filter", message="The response was filtered", param="prompt")),
    "litellm before azure": (
        400,
        _error(
            message="litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - filtered",
            type=None,
            code="400",
            provider_specific_fields={
                "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FOUND}
            },
        ),
    ),
    "an older litellm": (400, _error(message="litellm.ContentPolicyViolationError: AzureException", code="400")),
    "openai, reasoning": (
        400,
        _error(
            message="Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            type="invalid_request_error",
            code="invalid_prompt",
        ),
    ),
    "openai, biology": (
        400,
        _error(
            message="Invalid prompt: we've limited access to this content for safety reasons.",
            code="invalid_prompt",
        ),
    ),
    "alibaba": (
        400,
        _error(
            code="data_inspection_failed",
            type="data_inspection_failed",
            message="Input data may contain inappropriate content.",
        ),
    ),
    "alibaba behind a gateway": (400, _error(message="<400> InternalError.Algo.DataInspectionFailed: Input text")),
    "deepseek": (400, _error(message="Content Exists Risk", code="invalid_request_error")),
    "deepseek, older": (400, {"detail": "Content Exists Risk"}),
    "zhipu": (
        400,
        _error(code="1301", message="系统检测到输入或生成内容可能包含不安全或敏感内容"),
    ),
    "moonshot": (400, _error(code=400, type="content_filter", message="rejected: considered high risk")),
    "xai": (403, {"code": "no permission", "error": "Content violates usage guidelines. Failed check: BIO"}),
    "openrouter": (
        403,
        _error(code=403, message="flagged", metadata={"reasons": ["violence"], "flagged_input": "How"}),
    ),
    "azure behind openrouter": (
        400,
        _error(
            code=400,
            message="Provider returned error",
            metadata={
                "provider_name": "Azure",
                "raw": json.dumps(_error(code="content_filter", message="The response was filtered")),
            },
        ),
    ),
    "deepseek behind openrouter": (
        400,
        _error(
            message="Provider returned error", code=400, metadata={"raw": _error(message="Content Exists Risk")}
        ),
    ),
    "a text behind openrouter": (
        403,
        _error(
            message="Provider returned error", code=403, metadata={"raw": "Content violates usage guidelines."}
        ),
    ),
    "azure api management": (403, {"statusCode": 403, "message": "Request failed content safety check."}),
}


ALL_WAYS = [(name, own) for name in WORDS for own in (True, False) if own or "error" in WORDS[name][1]]
"""With the provider's own status, or with a 200 from a gateway that puts the error into the body."""


@pytest.mark.parametrize(("name", "own"), ALL_WAYS)
async def test_a_filters_word_is_a_refusal(name: str, own: bool) -> None:  # noqa: FBT001 - a parameter
    """Whichever provider's filter refuses a question, it is an answer that was withheld."""
    status, body = WORDS[name]
    said = await outcome(plain(status if own else 200, json.dumps(body).encode()))
    assert isinstance(said, Succeeded)
    assert said.response == ""
    assert said.provenance["finish_reason"] == "content_filter"
    assert said.provenance["refusal"]


async def test_what_a_filter_found_is_kept_behind_a_gateway() -> None:
    """The categories and their severity are the evidence, however deep a gateway puts them."""
    for name, found in (("litellm before azure", FOUND), ("openrouter", {"reasons": ["violence"]})):
        status, body = WORDS[name]
        said = await outcome(plain(status, json.dumps(body).encode()))
        assert said.provenance["content_filter_result"] == found  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, _error(code="invalid_prompt", message="Invalid prompt: messages[0] is no text")),
        (400, _error(code="unsupported_parameter", message="Unsupported parameter: 'max_tokens'")),
        (403, _error(code="country", message="Country, region, or territory not supported")),
        (400, _error(metadata={"innererror": {"innererror": {"metadata": {"code": "content_filter"}}}})),
    ],
)
async def test_what_is_no_filters_word_is_a_failure(status: int, body: Any) -> None:
    """A request that is wrong, or not allowed, is no refusal."""
    assert failed(await outcome(plain(status, json.dumps(body).encode()))).kind in {
        ErrorKind.BAD_REQUEST,
        ErrorKind.AUTH,
    }


@pytest.mark.parametrize("finish", ["content_filter", "SAFETY", "content_filter: PROHIBITED_CONTENT", "sensitive"])
@pytest.mark.parametrize("message", [{"role": "assistant"}, {"content": None}, None])
def test_an_answer_withheld_without_words_is_a_refusal(finish: str, message: Any) -> None:
    """Gemini's gateways leave out the content, or the whole message, of what their filter withheld."""
    body = json.dumps({"choices": [{"index": 0, "finish_reason": finish, "message": message}]}).encode()
    said = completions.of_body(body, {}, 100, 1e9)
    assert isinstance(said, Succeeded)
    assert (said.response, said.provenance["finish_reason"]) == ("", finish)


def test_an_answer_cut_off_by_a_filter_keeps_what_came() -> None:
    """What stood before the filter stepped in is the answer; the filter's categories are its provenance."""
    choice = {
        "message": {"content": "First, take"},
        "finish_reason": "content_filter",
        "content_filter_results": FOUND,
    }
    body = {"choices": [choice], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    said = completions.of_body(json.dumps(body).encode(), {}, 100, 1e9)
    assert isinstance(said, Succeeded)
    assert said.response == "First, take"
    assert said.provenance["content_filter_results"] == FOUND
    assert said.provenance["prompt_filter_results"] == body["prompt_filter_results"]


async def test_where_it_was_answered_is_kept() -> None:
    """The region that Azure says, and the endpoint that a gateway chose, tell where the answer came from."""
    headers = {"x_ms_region": "Sweden Central", "x_litellm_model_api_base": "https://swe.example/"}
    for status in (200, 500):
        said = await outcome(plain(status, b'{"choices":[{"message":{"content":"4"}}],"provider":"p"}', **headers))
        assert said.provenance["served_region"] == "Sweden Central"  # type: ignore[union-attr]
        assert said.provenance["served_from"] == "https://swe.example/"  # type: ignore[union-attr]
        assert status == 500 or said.provenance["provider"] == "p"  # type: ignore[union-attr]


async def test_thoughts_are_no_part_of_an_answer() -> None:
    """Of an answer in parts the text alone is the answer."""
    said = await outcome(answer([{"type": "reasoning", "text": "Hm. "}, {"type": "text", "text": "Four."}]))
    assert isinstance(said, Succeeded)
    assert said.response == "Four."


@pytest.mark.parametrize("finish", [[], {}, 7, True])
def test_a_finish_reason_of_another_kind_spoils_no_answer(finish: Any) -> None:
    """An answer with a text is read, whatever stands in the place of its finish reason."""
    body = json.dumps({"choices": [{"message": {"content": "4"}, "finish_reason": finish}]}).encode()
    assert isinstance(completions.of_body(body, {}, 10, 1e9), Succeeded)
    assert not filters.is_withheld(finish)


def test_a_filters_word_in_a_server_error_is_a_failure() -> None:
    """A provider that fails is asked again, whatever it says."""
    said = completions.of_status(500, b'{"error": {"code": "content_filter"}}', {}, 1e9)
    assert isinstance(said, Failed)
    assert said.transient
