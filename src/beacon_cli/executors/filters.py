"""What providers' content filters say, in each one's own form: a refusal, though it often comes as an error. Pure.

A filter that withholds an answer in one region and not in another is what many jobs look for: it must not pass for
a request that was wrong. Must not know what comes of a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from beacon_cli import ascii_json

FILTERED = "content_filter"
"""The finish reason of what a filter withheld, as OpenAI says it."""

STATUSES = frozenset({400, 403, 422, 451})
"""With these an error may be a filter's word."""

_ENDS = frozenset(
    {
        *(FILTERED, "content_filtered", "guardrail_intervened", "refusal", "sensitive"),
        *("blocklist", "prohibited_content", "recitation", "safety", "spii"),  # Gemini's own, of its gateways
    }
)
"""Finish reasons, in lower case, of an answer that was withheld in whole or in part."""

_CODES = frozenset(
    {
        *(FILTERED, "content_policy_violation", "moderation_blocked"),  # Azure, Moonshot by its type; OpenAI
        "responsibleaipolicyviolation",  # Azure, in the inner error
        *("data_inspection_failed", "datainspectionfailed"),  # Alibaba
    }
)
"""An error's `code` or `type`, in lower case."""

_SAYINGS = (
    *("ContentPolicyViolationError", "content management policy"),  # LiteLLM before Azure
    *("flagged as potentially violating", "limited access to this content for safety"),  # OpenAI's invalid_prompt
    "DataInspectionFailed",  # Alibaba behind a gateway
    "Content Exists Risk",  # DeepSeek
    *("unsafe or sensitive content", "不安全或敏感内容"),  # Zhipu
    "considered high risk",  # Moonshot behind a gateway
    "content violates usage guidelines",  # xAI
    "content safety check",  # Azure API Management
)
_WORDS = re.compile("|".join(_SAYINGS), re.IGNORECASE)
"""What those say who give it no code of its own."""

_INNER = ("innererror", "provider_specific_fields", "metadata")
_MODERATED = "flagged_input"
"""What OpenRouter adds to an error when its moderation refuses a question."""


def is_withheld(finish_reason: Any) -> bool:
    """Whether an answer that ended so was withheld by a filter; Gemini's gateways may add why after a colon."""
    if type(finish_reason) is not str:
        return False
    return finish_reason.partition(":")[0].strip().lower() in _ENDS


def found(said: Any, message: str) -> Mapping[str, Any] | None:
    """What a filter found, if an error's body is a filter's word: empty where it does not say. None: it is not.

    Args:
        said: the body, decoded.
        message: the error's own words, if it has any.
    """
    error = said.get("error") if type(said) is dict else None
    evidence = _evidence(error) if type(error) is dict else None
    if evidence is None and (raw := passed_on(said)) is not None:
        evidence = _evidence(within) if type(within := raw.get("error")) is dict else _evidence(raw)
    if evidence is None and _WORDS.search(message):
        return {}
    return evidence


def passed_on(said: Any) -> dict[Any, Any] | None:
    """What the provider behind a gateway said, as OpenRouter passes it on: `error.metadata.raw`, JSON or text."""
    error = said.get("error") if type(said) is dict else None
    metadata = error.get("metadata") if type(error) is dict else None
    raw = metadata.get("raw") if type(metadata) is dict else None
    if type(raw) is str:
        try:
            raw = ascii_json.decoded(raw.encode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            return {"message": raw} if raw.strip() else None
    raw = unwrapped(raw)
    return raw if type(raw) is dict else None


def unwrapped(said: Any) -> Any:
    """An error as it is, where Google's gateway has put it into a list."""
    return said[0] if type(said) is list and len(said) == 1 else said


def _evidence(error: dict[Any, Any], depth: int = 2) -> Mapping[str, Any] | None:
    """What stands in an error, or in one within it, beside a filter's code."""
    results = error.get("content_filter_result")
    beside: Mapping[str, Any] = {"content_filter_result": results} if results else {}
    if any(type(code) is str and code.lower() in _CODES for code in (error.get("code"), error.get("type"))):
        inner = error.get("innererror")
        more = inner.get("content_filter_result") if type(inner) is dict else None
        return {"content_filter_result": more} if more else beside
    if _MODERATED in error:
        return {"content_filter_result": {"reasons": error.get("reasons")}}
    within = [inner for name in _INNER if type(inner := error.get(name)) is dict] if depth else []
    for each in within:
        if (deeper := _evidence(each, depth - 1)) is not None:
            return deeper
    return None
