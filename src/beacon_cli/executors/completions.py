"""What a chat-completions endpoint answers, made into outcomes: bodies, statuses, headers. Pure.

The second half of the border of `executors.openai`. Knows no HTTP library: headers are a mapping whose keys are
found whatever their case. Nothing that comes in is trusted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from beacon_cli.executors.answers import bad_answer, outcome_of, shorten
from beacon_cli.model import ErrorKind, Failed, JsonObject, Succeeded

# What a status means: kind, and whether another attempt may do better. What is not here is told by its hundreds.
_STATUSES: dict[int, tuple[ErrorKind, bool]] = {
    400: (ErrorKind.BAD_REQUEST, False),
    401: (ErrorKind.AUTH, False),
    403: (ErrorKind.AUTH, False),
    404: (ErrorKind.NOT_FOUND, False),
    408: (ErrorKind.TIMEOUT, True),
    409: (ErrorKind.PLATFORM, True),
    422: (ErrorKind.BAD_REQUEST, False),
    425: (ErrorKind.PLATFORM, True),
    429: (ErrorKind.THROTTLED, True),
}
_HUNDREDS: dict[int, tuple[ErrorKind, bool]] = {
    3: (ErrorKind.NOT_FOUND, False),
    4: (ErrorKind.BAD_REQUEST, False),
    5: (ErrorKind.PLATFORM, True),
}

LONGEST_WAIT = 900.0
"""No provider makes a run wait longer than this for its next attempt, in seconds."""

_FILTERED = "content_filter"
_EMPTY_IS_AN_ANSWER = frozenset({_FILTERED, "length"})
_KEPT = ("id", "model", "system_fingerprint", "service_tier", "usage")
_WAITS = (("retry-after-ms", 0.001), ("retry-after", 1.0))
_BUDGETS = ("requests", "tokens")
_EXCERPT = 300
_SPAN = re.compile(
    r"(?=.)(?:(\d{1,9}(?:\.\d+)?)h)?(?:(\d{1,9}(?:\.\d+)?)m)?(?:(\d{1,9}(?:\.\d+)?)s)?(?:(\d{1,9}(?:\.\d+)?)ms)?"
)
_UNITS = (3600.0, 60.0, 1.0, 0.001)

_fast = msgspec.json.Decoder().decode


def is_success(status: int) -> bool:
    """Whether a body of this status should hold an answer."""
    return 200 <= status < 300  # noqa: PLR2004 - as HTTP counts


def of_body(body: bytes, kind: str, answer_bytes: int, about: JsonObject) -> Succeeded | Failed:
    """The outcome of an answer that came with a status of success.

    Args:
        body: all of it.
        kind: its content type, as the endpoint says it.
        answer_bytes: a longer text is cut.
        about: what else is known of the request, for the provenance.
    """
    try:
        said = _decoded(body)
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
    error = said.get("error")
    if error and "choices" not in said:
        return _error_in_success(said, error, about)
    flat = _flattened(said)
    if isinstance(flat, str):
        return bad_answer(f"the endpoint's answer {flat}")
    return outcome_of({**about, **flat}, answer_bytes)


def of_status(status: int, body: bytes, headers: Mapping[str, str], now: float) -> Succeeded | Failed:
    """The outcome of an answer with any other status; `now` in seconds since the epoch, for dates.

    A prompt that the provider's filter refuses has its answer: a refusal, though it comes as a status 400.
    """
    said = _decoded_or_none(body)
    message = _message(said) or _excerpt(body)
    about: JsonObject = {"http_status": status, **request_id(headers)}
    if status == 400 and _is_filtered(said):  # noqa: PLR2004 - as the provider answers
        return _filtered(message, about)
    kind, transient = _STATUSES.get(status) or _HUNDREDS.get(status // 100, (ErrorKind.BAD_ANSWER, False))
    where = headers.get("location") if status // 100 == 3 else None  # noqa: PLR2004 - as HTTP counts
    to = f"; it leads to {_shown(where)}: set base_url to where that is" if where else ""
    return Failed(
        kind=kind,
        message=shorten(f"HTTP {status}{': ' if message else ''}{message}{to}"),
        transient=transient,
        retry_after=wait(headers, now) if transient else None,
        provenance=about,
    )


def wait(headers: Mapping[str, str], now: float) -> float | None:
    """How many seconds the endpoint asks to wait, by `Retry-After` or by the budgets that it reports as spent."""
    for name, unit in _WAITS:
        seconds = _moment(headers.get(name), unit, headers, now)
        if seconds is not None:
            return seconds
    return spent(headers)


def spent(headers: Mapping[str, str]) -> float | None:
    """How many seconds until a budget is filled again of which nothing is left; None where none is spent."""
    waits: list[float] = []
    for budget in _BUDGETS:
        if headers.get(f"x-ratelimit-remaining-{budget}", "").strip() not in {"0", "0.0"}:
            continue
        reset = span(headers.get(f"x-ratelimit-reset-{budget}", "").strip())
        if reset is not None:
            waits.append(reset)
    return max(waits, default=None)


def span(text: str) -> float | None:
    """Seconds in `6m0s`, `120ms`, `1.5` or `2`, `LONGEST_WAIT` at most; None for anything else."""
    match = _SPAN.fullmatch(text)
    if match:
        return min(
            sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part),
            LONGEST_WAIT,
        )
    return _bounded(text, 1.0)


def request_id(headers: Mapping[str, str]) -> JsonObject:
    """The provider's own name for the request, by which its support can find it."""
    found = headers.get("x-request-id") or headers.get("apim-request-id")
    return {"request_id": found[:200]} if found else {}


def _moment(text: str | None, unit: float, headers: Mapping[str, str], now: float) -> float | None:
    if text is None:
        return None
    seconds = _bounded(text, unit)
    if seconds is not None:
        return seconds
    try:
        until = parsedate_to_datetime(text).timestamp()
        # By the endpoint's own clock, where it shows it: ours may differ.
        now = parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else now
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(0.0, until - now), LONGEST_WAIT)


def _bounded(text: str, unit: float) -> float | None:
    try:
        seconds = float(text) * unit
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 and math.isfinite(seconds) else None


def _decoded(body: bytes) -> Any:
    try:
        return _fast(body)
    except msgspec.DecodeError:
        return json.loads(body)  # lone surrogates, which the fast decoder refuses; or no JSON at all


def _decoded_or_none(body: bytes) -> Any:
    try:
        return _decoded(body)
    except (ValueError, RecursionError):
        return None


def _flattened(said: dict[Any, Any]) -> JsonObject | str:
    """The answer with its provenance in one mapping, or what is wrong with it."""
    choices = said.get("choices")
    choice = choices[0] if type(choices) is list and choices else None
    message = choice.get("message") if type(choice) is dict else None
    if type(choice) is not dict or type(message) is not dict:
        return "has no `choices[0].message`"
    finish = choice.get("finish_reason")
    response = _text(message.get("content"))
    refusal = message.get("refusal")
    flat: JsonObject = {key: value for key in _KEPT if (value := said.get(key)) is not None}
    flat["finish_reason"] = finish
    for name in ("reasoning_content", "reasoning"):
        if type(message.get(name)) is str:
            flat[name] = message[name]
    if type(refusal) is str and refusal:
        flat["refusal"] = refusal
        response = response or refusal
    if response is None:
        if type(finish) is not str or finish not in _EMPTY_IS_AN_ANSWER:
            return "has no text in `choices[0].message.content`"
        response = ""
    flat["response"] = response
    return flat


def _text(content: Any) -> str | None:
    """A message's content: text, or a list of parts of which some are text."""
    if type(content) is str:
        return content
    if type(content) is not list:
        return None
    parts = [part.get("text") for part in content if type(part) is dict]
    texts = [text for text in parts if type(text) is str]
    return "".join(texts) if texts else None


def _error_in_success(said: dict[Any, Any], error: Any, about: JsonObject) -> Failed:
    """Gateways report failures of the model behind them with a status of success and an error in the body."""
    code = error.get("code") if type(error) is dict else None
    kind, transient = ErrorKind.MODEL, True
    if type(code) is int:
        kind, transient = _STATUSES.get(code) or _HUNDREDS.get(code // 100, (kind, transient))
    message = _message(said) or "the endpoint answered an error that says nothing"
    return Failed(kind=kind, message=shorten(message), transient=transient, provenance=about)


def _message(said: Any) -> str:
    """An error's words: OpenAI's, vLLM's, Ollama's and FastAPI's forms; empty where there are none."""
    if type(said) is not dict:
        return ""
    error = said.get("error")
    for found in (error.get("message") if type(error) is dict else error, said.get("message"), said.get("detail")):
        if type(found) is str and found:
            return found
    detail = said.get("detail")
    return json.dumps(detail)[:_EXCERPT] if detail else ""


def _is_filtered(said: Any) -> bool:
    error = said.get("error") if type(said) is dict else None
    return type(error) is dict and error.get("code") == _FILTERED


def _filtered(message: str, about: JsonObject) -> Succeeded:
    return Succeeded(response="", provenance={**about, "finish_reason": _FILTERED, "refusal": shorten(message)})


def _excerpt(body: bytes) -> str:
    return _shown(body[:_EXCERPT].decode("utf-8", "replace"))


def _shown(text: str) -> str:
    return " ".join(text[:_EXCERPT].split())
