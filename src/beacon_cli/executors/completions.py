"""What a chat-completions endpoint answers, made into outcomes: bodies, statuses, headers. Pure.

The second half of the border of `executors.openai`. Knows no HTTP library. Nothing that comes in is trusted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import msgspec

from beacon_cli import ascii_json
from beacon_cli.executors import filters
from beacon_cli.executors.answers import bad_answer, outcome_of, shorten
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
}
_HUNDREDS: dict[int, tuple[ErrorKind, bool]] = {
    3: (ErrorKind.NOT_FOUND, False),
    4: (ErrorKind.BAD_REQUEST, False),
    5: (ErrorKind.PLATFORM, True),
}

_OF_THE_MODEL = re.compile(r"\bmodel\b|DeploymentNotFound|API deployment", re.IGNORECASE)
"""What a 404 says where the endpoint is there and the model is not."""
_USED_UP = "insufficient_quota"
"""OpenAI's code of a 429 where no money is left: no wait helps."""

Headers: TypeAlias = Mapping[str, str]
"""As `told` gives them: names in lower case."""

LONGEST_WAIT = 900.0
"""No provider makes a run wait longer than this for its next attempt, in seconds."""

_KEPT = ("id", "model", "system_fingerprint", "service_tier", "usage", "provider", "prompt_filter_results")
_KEPT_OF_CHOICE = ("stop_reason", "native_finish_reason", "content_filter_results")
_SERVED = (
    ("x-ms-region", "served_region"),
    ("x-litellm-model-region", "served_region"),
    ("x-litellm-model-api-base", "served_from"),
)
"""Headers by which an endpoint says which place or which endpoint behind it has answered: header, our name."""
_REQUEST_IDS = ("x-request-id", "apim-request-id", "x-amzn-requestid")
_TEXTS = (None, "text", "output_text")
"""Kinds of parts of an answer; others are thoughts, citations, calls."""
_WAITS = (("retry-after-ms", 0.001), ("retry-after", 1.0))
_BUDGETS = ("-requests", "-tokens", "")
_HEARD = (
    *("content-type", "date", "location", *_REQUEST_IDS),
    *(name for name, _ in _SERVED),
    *(name for name, _ in _WAITS),
    *(f"x-ratelimit-{what}{budget}" for budget in _BUDGETS for what in ("remaining", "reset")),
)
_UNTOLD = -1
"""What Azure says is left where it does not tell."""
_LONGEST_HEADER = 100
_MOST_MODELS = 10_000
_LONGEST_NAME = 200
_NEAR = 10 * 365.25 * 86400
"""Seconds from now within which a number is taken for a point in time since the epoch."""
_STATUS = re.compile(r"[345]\d\d")
_EXCERPT = 300
_SPAN = re.compile(
    r"(?=.)(?:(\d{1,9})d)?(?:(\d{1,9}(?:\.\d+)?)h)?(?:(\d{1,9}(?:\.\d+)?)m)?(?:(\d{1,9}(?:\.\d+)?)s)?(?:(\d{1,9}(?:\.\d+)?)ms)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)


def is_success(status: int) -> bool:
    """Whether a body of this status should hold an answer."""
    return 200 <= status < 300  # noqa: PLR2004 - as HTTP counts


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
        return _error_in_success(said, error, about, wait(headers, now))
    flat, problem = _flattened(said)
    if problem:
        outcome = outcome_of({**about, **flat, "response": ""}, answer_bytes)
        paid = outcome.provenance if isinstance(outcome, Succeeded) else about
        return msgspec.structs.replace(bad_answer(f"the endpoint's answer {problem}"), provenance=paid)
    outcome = outcome_of({**about, **flat}, answer_bytes)
    respite = spent(headers, now)
    if respite and isinstance(outcome, Succeeded):
        return msgspec.structs.replace(outcome, respite=respite)
    return outcome


def of_status(status: int, body: bytes, headers: Headers, now: float) -> Succeeded | Failed:
    """The outcome of an answer with any other status; `now` in seconds since the epoch, for dates.

    A prompt that the provider's filter refuses has its answer: a refusal, though it comes as an error.
    """
    said = _decoded_or_none(body)
    if type(said) is list and len(said) == 1:  # as Google wraps it
        said = said[0]
    message = _message(said) or _excerpt(body)
    about: JsonObject = {"http_status": status, **_served(headers)}
    if status in filters.STATUSES and (found := filters.found(said, _message(said))) is not None:
        return _filtered(message, found, about)
    kind, transient = _meaning(status, said, (ErrorKind.BAD_ANSWER, False))
    where = headers.get("location") if status // 100 == 3 else None  # noqa: PLR2004 - as HTTP counts
    to = f"; it leads to {_shown(where)}: set base_url to where that is" if where else ""
    return Failed(
        kind=kind,
        message=shorten(f"HTTP {status}{': ' if message else ''}{message}{to}"),
        transient=transient,
        retry_after=_asked_for(said, headers, now) if transient else None,
        provenance=about,
    )


def _meaning(status: int, said: Any, otherwise: tuple[ErrorKind, bool]) -> tuple[ErrorKind, bool]:
    """What a status means with this body: kind, and whether another attempt may do better."""
    kind, transient = _STATUSES.get(status) or _HUNDREDS.get(status // 100, otherwise)
    if kind is ErrorKind.NOT_FOUND and _OF_THE_MODEL.search(_message(said)):
        return ErrorKind.BAD_REQUEST, False  # the region's other models are there
    error = said.get("error") if kind is ErrorKind.THROTTLED and type(said) is dict else None
    if type(error) is dict and _USED_UP in (error.get("code"), error.get("type")):
        return kind, False
    return kind, transient


def models(body: bytes) -> frozenset[str] | None:
    """The names in a list of models; None where it is no list, or not the whole one."""
    said = _decoded_or_none(body)
    if type(said) is dict:
        said = None if said.get("has_more") else said.get("data")
    if type(said) is not list:
        return None
    names = [each.get("id") for each in said[:_MOST_MODELS] if type(each) is dict]
    return frozenset(name[:_LONGEST_NAME].removeprefix("models/") for name in names if type(name) is str)


def wait(headers: Headers, now: float) -> float | None:
    """How many seconds the endpoint asks to wait, by `Retry-After` or by the budgets that it reports as spent."""
    for name, unit in _WAITS:
        seconds = _until(headers.get(name, ""), unit, headers, now)
        if seconds is not None:
            return seconds
    return spent(headers, now)


def _asked_for(said: Any, headers: Headers, now: float) -> float | None:
    """As `wait`; where no header says it, as Google says it in the body: `details[].retryDelay`."""
    seconds = wait(headers, now)
    error = said.get("error") if seconds is None and type(said) is dict else None
    details = error.get("details") if type(error) is dict else None
    for each in details if type(details) is list else ():
        if type(each) is dict and type(delay := each.get("retryDelay")) is str:
            return span(delay[:_LONGEST_HEADER])
    return seconds


def spent(headers: Headers, now: float) -> float | None:
    """How many seconds until a budget is filled again of which nothing is left; None where none is spent."""
    waits = [
        reset
        for budget in _BUDGETS
        if _is_empty(headers.get(f"x-ratelimit-remaining{budget}"))
        and (reset := _until(headers.get(f"x-ratelimit-reset{budget}", ""), 1.0, headers, now)) is not None
    ]
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


def _is_empty(left: str | None) -> bool:
    try:
        return left is not None and float(left) <= 0 and float(left) != _UNTOLD
    except ValueError:
        return False


def _until(text: str, unit: float, headers: Headers, now: float) -> float | None:
    """The seconds that a header says: as a number of `unit`, as a span, or as a point in time."""
    text = text.strip()[:_LONGEST_HEADER]
    try:
        number = float(text) * unit
    except ValueError:
        seconds = span(text)
        return _moment(text, headers, now) if seconds is None else seconds
    for since in (number, number / 1000):  # the epoch's seconds or milliseconds, which no span can be
        if abs(since - now) < _NEAR:
            return min(max(0.0, since - now), LONGEST_WAIT)
    return _bounded(text, unit)


def _moment(text: str, headers: Headers, now: float) -> float | None:
    """The seconds until a date, by the endpoint's own clock where it shows it: ours may differ."""
    until = _date(text)
    if until is None:
        return None
    theirs = _date(headers.get("date", ""))
    return min(max(0.0, until - (now if theirs is None else theirs)), LONGEST_WAIT)


def _date(text: str) -> float | None:
    """A date of HTTP or of ISO 8601, in seconds since the epoch; in UTC where it does not say its zone."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _bounded(text: str, unit: float) -> float | None:
    try:
        seconds = float(text) * unit
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 and math.isfinite(seconds) else None


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
    for name in ("reasoning_content", "reasoning"):
        if type(message.get(name)) is str:
            flat[name] = message[name]
    response = _text(message.get("content"))
    refusal = message.get("refusal")
    if type(refusal) is str and refusal:
        flat["refusal"] = refusal
        response = response or refusal
    if response is None and finish != "length" and not filters.is_withheld(finish):
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
    """The error that an answer is in truth: at its head, as vLLM had it, or in the choice as gateways have it."""
    if said.get("choices"):
        choice = _first_choice(said)
        return choice.get("error") if choice and choice.get("finish_reason") in ("error", None) else None
    return said.get("error") or (said if said.get("object") == "error" else None)


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
    kind, transient = ErrorKind.MODEL, True
    if type(code) is int:
        kind, transient = _meaning(code, said, (kind, transient))
    return Failed(
        kind=kind,
        message=shorten(message),
        transient=transient,
        retry_after=asked_for if transient else None,
        provenance=about,
    )


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


def _filtered(message: str, found: Mapping[str, Any], about: JsonObject) -> Succeeded | Failed:
    """A refusal, with what the filter found as far as it says it."""
    # Through the border: what the filter says is as foreign as an answer.
    refusal = {"finish_reason": filters.FILTERED, "refusal": shorten(message), "response": ""}
    return outcome_of({**about, **found, **refusal}, _EXCERPT)


def _excerpt(body: bytes) -> str:
    return _shown(body[:_EXCERPT].decode("utf-8", "replace"))


def _shown(text: str) -> str:
    return " ".join(text[:_EXCERPT].split())
