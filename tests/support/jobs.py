"""Specs for tests, made without a file."""

from __future__ import annotations

from typing import Any

from beacon_cli.model import Model, Question, Region, SimulatedTarget, Spec

US = Region(id="us", app="us", place="the United States")
EU = Region(id="eu", app="eu", place="Europe")
ASIA = Region(id="asia", app="apac", place="Asia")


def spec(**changes: Any) -> Spec:
    """The user's job: 3 regions x 8 questions x 3 models = 72 executions; `changes` replace fields."""
    fields: dict[str, Any] = {
        "id": "bias-detection",
        "regions": (US, EU, ASIA),
        "models": tuple(Model(id=name) for name in ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")),
        "questions": tuple(Question(id=f"q{n}", text=f"Question {n}?") for n in range(8)),
        "system_prompt": "You are a helpful assistant.",
        "target": SimulatedTarget(),
    }
    return Spec(**{**fields, **changes})
