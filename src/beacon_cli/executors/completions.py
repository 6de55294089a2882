"""What a chat-completions endpoint answers, made into outcomes: bodies, statuses, headers. Pure.

The second half of the border of `executors.openai`. Knows no HTTP library. Nothing that comes in is trusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from beacon_cli import ascii_json
from beacon_cli.executors import filters, waits
from beacon_cli.executors.answers import bad_answer, outcome_of, shorten
from beacon_cli.executors.waits import Headers
from beacon_cli.model import ErrorKind, Failed, JsonObject, Succeeded

# What a status means: kind, and whether another attempt may do better. What is not here is told by its hundreds.
_STATUSES: dict[int, tuple[ErrorKind, bool]] = {
    400: (ErrorKind.BAD_REQUEST, False),
    401: (ErrorKind.AUTH, False),
    402: (ErrorKind.THROTTLED, False),
    403: (ErrorKind.BAD_REQUEST, False),  # of this question, model or country, maybe, and not of all asked here
    404: (ErrorKind.NOT_FOUND, False),
    408: (ErrorKind.TIMEOUT, True),
    409: (ErrorKind.PLATFORM, True),
    422: (ErrorKind.BAD_REQUEST, False),
    425: (ErrorKind.PLATFORM, True),
    429: (ErrorKind.THROTTLED, True),
    498: (ErrorKind.THROTTLED, True),  # Groq's: no room in its tier for now
}
_HUNDREDS: dict[int, tuple[ErrorKind, bool]] = {
    3: (ErrorKind.NOT_FOUND, False),
    4: (ErrorKind.BAD_REQUEST, False),
    5: (ErrorKind.PLATFORM, True),
}

_OF_THE_MODEL = re.compile(r"\bmodel\b|DeploymentNotFound|API deployment|No endpoints found", re.IGNORECASE)
"""What a 404 says where the endpoint is there and the model is not."""
_OF_THE_KEY = re.compile(
    r"api key (?:not valid|expired)|(?:incorrect|invalid) api key|make sure your api key is valid"
    r"|token (?:has|is) expired|token included in the request is (?:expired|invalid)",
    re.IGNORECASE,
)
"""What Google and xAI (400) and Bedrock (403) say of a key that others refuse with a 401."""
_KEY_STATUSES = frozenset({400, 403})
_USED_UP = frozenset({"insufficient_quota", "budget_exceeded"})
"""OpenAI's and LiteLLM's names for an account or a key with no money left, with a 429 or a 400: no wait helps."""
_OF_MONEY = frozenset({ErrorKind.THROTTLED, ErrorKind.BAD_REQUEST})
_NOT_THIS_MODEL = "_model_access_denied"
"""How LiteLLM's names end for a key that is good, and not for this model; with a 401 or a 403."""

_KEPT = ("id", "model", "system_fingerprint", "service_tier", "usage", "provider", "prompt_filter_results")
_KEPT_OF_CHOICE = ("stop_reason", "native_finish_reason", "content_filter_results")
_SERVED = (
    ("x-ms-region", "served_region"),
    ("x-litellm-model-region", "served_region"),
    ("x-litellm-model-api-base", "served_from"),
)
"""Headers by which an endpoint says which place or which endpoint behind it has answered: header, our name."""
_REQUEST_IDS = ("x-request-id", "apim-request-id", "x-amzn-requestid")
_BROKEN_OFF = frozenset({"error", "abort", "aborted", "insufficient_system_resource"})
"""Finish reasons of an answer that its server broke off: Mistral's, vLLM's and SGLang's, DeepSeek's."""
_TEXTS = (None, "text", "output_text")
"""Kinds of parts of an answer; others are thoughts, citations, calls."""
_HEARD = (
    *("content-type", "date", "location", *_REQUEST_IDS),
    *(name for name, _ in _SERVED),
    *waits.HEADERS,
)
_MOST_MODELS = 10_000
_LONGEST_NAME = 200
_STATUS = re.compile(r"[345]\d\d")
_EXCERPT = 300


def is_success(status: int) -> bool:
    """Whether a body of this status should hold an answer."""
    return 200 <= status < 300  # noqa: PLR2004 - as HTTP counts


def may_answer_yet(status: int) -> bool:
    """Whether a server that says this may have given up an answer that then comes, to whoever asks next."""
    return status == 408 or status >= 500  # noqa: PLR2004 - as HTTP counts


def told(headers: Mapping[str, str], hide: Callable[[str], str]) -> Headers:
    """Those of an answer's headers that mean something to beacon, each without what must be hidden."""
    return {name: hide(value) for name in _HEARD if (value := headers.get(name)) is not None}


def of_body(body: bytes, headers: Headers, answer_bytes: int, now: float) -> Succeeded | Failed:
    """The outcome of an answer that came with a status of success.

    Args:
        body: all of it.
        headers: as `told`.
        answer_bytes: a longer text is cut.
        now: seconds since the epoch, for headers that hold a point in time.
    """
    about = _served(headers)
    kind = headers.get("content-type", "")
    try:
        said = ascii_json.decoded(body)
    except (ValueError, RecursionError):
        is_json = "json" in kind.lower()
        what = "JSON that breaks off or is none" if is_json else f"{_shown(kind) or 'no content type'}, not JSON"
        hint = "" if is_json else "; is base_url right?"
        # A body that was cut on its way may come whole the next time; another kind of page will not.
        return Failed(
            kind=ErrorKind.BAD_ANSWER,
            message=shorten(f"the endpoint answered {what}: {_excerpt(body)}{hint}"),
            transient=is_json,
            provenance=about,
        )
    if type(said) is not dict:
        return bad_answer("the endpoint's answer is no JSON object")
    error = _error_within(said)
    if error:
        return _error_in_success(said, error, about, waits.asked_for(said, headers, now))
    flat, problem = _flattened(said)
    if problem:
        outcome = outcome_of({**about, **flat, "response": ""}, answer_bytes)
        paid = outcome.provenance if isinstance(outcome, Succeeded) else about
        return msgspec.structs.replace(bad_answer(f"the endpoint's answer {problem}"), provenance=paid)
    outcome = outcome_of({**about, **flat}, answer_bytes)
    respite = waits.spent(headers, now)
    if respite and isinstance(outcome, Succeeded):
        return msgspec.structs.replace(outcome, respite=respite)
    return outcome


def of_status(status: int, body: bytes, headers: Headers, now: float) -> Succeeded | Failed:
    """The outcome of an answer with any other status; `now` in seconds since the epoch, for dates.

    A prompt that the provider's filter refuses has its answer: a refusal, though it comes as an error.
    """
    said = filters.unwrapped(_decoded_or_none(body))
    message = _message(said) or _excerpt(body)
    about: JsonObject = {"http_status": status, **_served(headers)}
    if status in filters.STATUSES and (found := filters.found(said, _message(said))) is not None:
        return _filtered(message, found, about)
    means = _meaning(status, said, (ErrorKind.BAD_ANSWER, False))
    where = headers.get("location") if status // 100 == 3 else None  # noqa: PLR2004 - as HTTP counts
    to = f"; it leads to {_shown(where)}: set base_url to where that is" if where else ""
    told = f"HTTP {status}{': ' if message else ''}{message}{to}"
    return _failed(means, told, waits.asked_for(said, headers, now), about)


def _failed(means: tuple[ErrorKind, bool], message: str, asked_for: float | None, about: JsonObject) -> Failed:
    """The failure; one that asks for a longer wait than a run has is final, and says when to come back."""
    kind, transient = means
    if transient and kind is ErrorKind.THROTTLED and asked_for is not None and asked_for > waits.LONGEST_WAIT:
        transient = False
        message = f"wait {waits.in_words(asked_for)}, then beacon retry: {message}"
    wait = min(asked_for, waits.LONGEST_WAIT) if transient and asked_for is not None else None
    return Failed(kind=kind, message=shorten(message), transient=transient, retry_after=wait, provenance=about)


def _meaning(status: int, said: Any, otherwise: tuple[ErrorKind, bool]) -> tuple[ErrorKind, bool]:
    """What a status means with this body: kind, and whether another attempt may do better."""
    kind, transient = _STATUSES.get(status) or _HUNDREDS.get(status // 100, otherwise)
    error = said.get("error") if type(said) is dict else None
    named = (
        {name for each in ("code", "type") if type(name := error.get(each)) is str}
        if type(error) is dict
        else set()
    )
    if kind in _OF_MONEY and named & _USED_UP:
        return ErrorKind.THROTTLED, False
    if any(name.endswith(_NOT_THIS_MODEL) for name in named):
        return ErrorKind.BAD_REQUEST, False
    message = _message(said)[:_EXCERPT]
    if status in _KEY_STATUSES and _OF_THE_KEY.search(message):
        return ErrorKind.AUTH, False
    if kind is ErrorKind.NOT_FOUND and _OF_THE_MODEL.search(message):
        return ErrorKind.BAD_REQUEST, False  # the region's other models are there
    return kind, transient


def refuses_key(status: int, body: bytes) -> bool:
    """Whether an answer that is no success refuses the key, rather than what was asked for with it."""
    return (
        _meaning(status, filters.unwrapped(_decoded_or_none(body)), (ErrorKind.BAD_ANSWER, False))[0]
        is ErrorKind.AUTH
    )


def models(body: bytes) -> frozenset[str] | None:
    """The names in a list of models; None where it is no list, or not the whole one."""
    said = _decoded_or_none(body)
    if type(said) is dict:
        said = None if said.get("has_more") else said.get("data")
    if type(said) is not list:
        return None
    names = [each.get("id") for each in said[:_MOST_MODELS] if type(each) is dict]
    return frozenset(name[:_LONGEST_NAME].removeprefix("models/") for name in names if type(name) is str)


def _served(headers: Headers) -> JsonObject:
    """The provider's own name for the request, by which its support can find it, and where it was answered."""
    about: JsonObject = {ours: found[:_LONGEST_NAME] for name, ours in _SERVED if (found := headers.get(name))}
    for name in _REQUEST_IDS:
        if found := headers.get(name):
            about["request_id"] = found[:_LONGEST_NAME]
            break
    return about


def _kept(said: dict[Any, Any]) -> JsonObject:
    return {key: value for key in _KEPT if (value := said.get(key)) is not None}


def _decoded_or_none(body: bytes) -> Any:
    try:
        return ascii_json.decoded(body)
    except (ValueError, RecursionError):
        return None


def _flattened(said: dict[Any, Any]) -> tuple[JsonObject, str]:
    """The answer with its provenance in one mapping, and what is wrong with it; empty: nothing."""
    flat = _kept(said)
    choice = _first_choice(said)
    message = choice.get("message") if choice else None
    if choice and message is None and filters.is_withheld(choice.get("finish_reason")):
        message = {}
    if not choice or type(message) is not dict:
        return flat, "has no `choices[0].message`"
    flat["finish_reason"] = finish = choice.get("finish_reason")
    flat |= {key: value for key in _KEPT_OF_CHOICE if (value := choice.get(key)) is not None}
    has_thought = False
    for name in ("reasoning_content", "reasoning"):
        if type(message.get(name)) is str:
            flat[name] = message[name]
            has_thought = True
    response = _text(message.get("content"))
    refusal = message.get("refusal")
    if type(refusal) is str and refusal:
        flat["refusal"] = refusal
        response = response or refusal
    if not response and message.get("tool_calls"):
        return flat, "calls a tool and has no text in `choices[0].message.content`"
    # Thoughts and then nothing is an empty answer; some servers write it as null, others as "".
    if response is None and finish != "length" and not has_thought and not filters.is_withheld(finish):
        return flat, "has no text in `choices[0].message.content`"
    flat["response"] = response or ""
    return flat, ""


def _first_choice(said: dict[Any, Any]) -> dict[Any, Any] | None:
    choices = said.get("choices")
    choice = choices[0] if type(choices) is list and choices else None
    return choice if type(choice) is dict else None


def _text(content: Any) -> str | None:
    """A message's content: text, or a list of parts of which some are text and others thoughts."""
    if type(content) is str:
        return content
    if type(content) is not list:
        return None
    parts = [part.get("text") for part in content if type(part) is dict and part.get("type") in _TEXTS]
    texts = [text for text in parts if type(text) is str]
    return "".join(texts) if texts else None


def _error_within(said: dict[Any, Any]) -> Any:
    """The error that an answer is in truth: at its head, as vLLM had it, or in the choice as gateways have it.

    Part of an answer that its server broke off would pass for a short answer of the model's own: it is none.
    """
    if not said.get("choices"):
        return said.get("error") or (said if said.get("object") == "error" else None)
    choice = _first_choice(said)
    if not choice:
        return None
    finish = choice.get("finish_reason")
    if finish is None or (type(finish) is str and finish in _BROKEN_OFF):
        error = choice.get("error")
        if error or finish is None:
            return error
        return said.get("error") or {"message": f"the endpoint broke its answer off (finish_reason {finish})"}
    return None


def _error_in_success(
    said: dict[Any, Any], error: Any, about: JsonObject, asked_for: float | None
) -> Succeeded | Failed:
    """Gateways report failures of the model behind them with a status of success and an error in the body."""
    message = _message(said) or _message({"error": error}) or "the endpoint answered an error that says nothing"
    if (found := filters.found({"error": error}, message)) is not None:
        return _filtered(message, found, {**about, **_kept(said)})
    code = (error.get("code") or error.get("status")) if type(error) is dict else None
    if type(code) is str and _STATUS.fullmatch(code):
        code = int(code)
    means = (ErrorKind.MODEL, True)
    if type(code) is int:
        means = _meaning(code, said, means)
    return _failed(means, message, asked_for, _paid(said, about))


def _paid(said: dict[Any, Any], about: JsonObject) -> JsonObject:
    """What is known of a failure that was paid for: usage, ids and model beside `about`."""
    outcome = outcome_of({**about, **_kept(said), "response": ""}, 0)
    return dict(outcome.provenance)


def _message(said: Any) -> str:
    """An error's words, with those of the provider behind a gateway that has only passed them on."""
    own = _own_message(said)
    behind = _own_message(filters.passed_on(said))
    return f"{own}: {behind}" if own and behind and behind not in own else own or behind


def _own_message(said: Any) -> str:
    """An error's words: OpenAI's, vLLM's, Ollama's, Bedrock's and FastAPI's forms; empty where there are none."""
    if type(said) is not dict:
        return ""
    error = said.get("error")
    for found in (
        error.get("message") if type(error) is dict else error,
        said.get("message"),
        said.get("Message"),
        said.get("detail"),
    ):
        if type(found) is str and found:
            return found
    detail = said.get("detail")
    return json.dumps(detail)[:_EXCERPT] if detail else ""


def _filtered(message: str, found: Mapping[str, Any], about: JsonObject) -> Succeeded | Failed:
    """A refusal, with what the filter found as far as it says it."""
    # Through the border: what the filter says is as foreign as an answer.
    refusal = {"finish_reason": filters.FILTERED, "refusal": shorten(message), "response": ""}
    return outcome_of({**about, **found, **refusal}, _EXCERPT)


def _excerpt(body: bytes) -> str:
    return _shown(body[:_EXCERPT].decode("utf-8", "replace"))


def _shown(text: str) -> str:
    return " ".join(text[:_EXCERPT].split())
