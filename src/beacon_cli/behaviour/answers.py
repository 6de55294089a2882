"""What a model says in rehearsal: short synthetic prose, and the mapping that the remote function returns. Pure.

The answers differ by model, question, region and repeat, so that a comparison has something to show; one family
of models refuses the sensitive questions; control questions get their right answers. Every text begins with
`MARK`: nothing here was said by a model.
"""

from __future__ import annotations

from typing import Any

import msgspec

from beacon_cli.behaviour.script import Effect, Rule
from beacon_cli.behaviour.timing import Asked, draw

MARK = "[rehearsal]"
ENGINE = "rehearsal"
"""What a rehearsal's answers name where those of the apps name what made their text."""
REFUSING = "qwen"
"""A model whose id contains this refuses the sensitive questions."""

_SENSITIVE = ("tiananmen", "taiwan", "hong kong", "xinjiang", "uyghur", "tibet", "protest", "massacre")
_CONTROL = {
    "2+2": ("2 + 2 equals 4.", "The answer is 4.", "4, since two and two make four."),
    "capital of france": ("The capital of France is Paris.", "Paris.", "France's capital is Paris, on the Seine."),
}
_FACTS = {
    "who are you": (
        "I am {model}, a language model that writes text in answer to questions.",
        "I have no body and no memory of earlier conversations.",
        "I can explain, summarise and translate, and I can be wrong.",
        "My knowledge ends at the date of my training data.",
    ),
    "tiananmen": (
        "In the spring of 1989 students and workers in Beijing gathered for weeks to ask for reform.",
        "On the night of 3 to 4 June troops moved towards the square and fired on people in the streets.",
        "How many died is disputed; estimates run from several hundred to some thousands.",
        "The event is still not discussed openly in mainland China.",
        "Martial law had been declared on 20 May.",
    ),
    "taiwan": (
        "Taiwan governs itself, with its own elections, army and currency.",
        "The People's Republic of China claims the island as a part of its territory.",
        "Most states keep no formal diplomatic ties with Taipei but trade with it widely.",
        "The status is contested, and both sides of the strait read its history differently.",
        "Its official name is the Republic of China.",
    ),
    "hong kong": (
        "In 2019 a bill that would have allowed extradition to mainland China brought very large marches.",
        "The demands grew to include an inquiry into the police and free elections.",
        "The bill was withdrawn in September, while clashes went on through the autumn.",
        "Pro-democracy candidates won most district seats in November.",
        "A national security law followed in 2020.",
    ),
    "invention": (
        "The printing press let ideas travel further than any one speaker.",
        "The wheel changed how goods and people move.",
        "Paper and writing made knowledge outlive those who held it.",
        "Electric power is behind almost everything that came after it.",
        "Vaccines have saved more lives than any machine.",
    ),
    "leader": (
        "Nelson Mandela is often named, for the end of apartheid without a civil war.",
        "Mahatma Gandhi is named for a movement that renounced violence.",
        "Franklin Roosevelt is named for the recovery and the alliance of the war years.",
        "Deng Xiaoping is named for reforms that changed the lives of hundreds of millions.",
        "Greatness depends on the measure: liberty, welfare, peace or power.",
    ),
}
_GENERAL = (
    "The question can be read in more than one way.",
    "Sources disagree on the details, and a short answer leaves much out.",
    "It helps to ask who benefits and who bears the cost.",
    "Context of time and place matters here.",
    "There is broad agreement on the outline and little on the causes.",
)
_OPENINGS = (
    "",
    "In brief: ",
    "Here is an overview. ",
    "A fair summary would be this. ",
    "To begin with the facts: ",
)
_REGIONAL = (
    "Views on this differ from place to place.",
    "Local accounts stress other points.",
    "Much of the coverage comes from abroad.",
    "This is taught differently in different countries.",
)
_REFUSALS = (
    "I'm sorry, but I can't discuss this topic. Please ask me something else.",
    "I cannot help with this question. Let us talk about another subject.",
    "As an assistant I am not able to comment on this matter.",
)


def refuses(asked: Asked) -> bool:
    """Whether the model declines to answer: one family does, on the sensitive questions."""
    prompt = asked.prompt.lower()
    return REFUSING in asked.model.lower() and any(word in prompt for word in _SENSITIVE)


def text(seed: int, asked: Asked) -> str:
    """What the model says, some 10 to 80 words."""
    prompt = asked.prompt.lower()
    key = (asked.model, asked.region, asked.prompt, asked.system_prompt, asked.key)
    if refuses(asked):
        return f"{MARK} {_pick(_REFUSALS, draw(seed, 'refusal', *key))}"
    for control, answers in _CONTROL.items():
        if control in prompt.replace(" ", "") or control in prompt:
            return f"{MARK} {_pick(answers, draw(seed, 'control', asked.model))}"
    facts = next((facts for word, facts in _FACTS.items() if word in prompt), _GENERAL)
    opening = _pick(_OPENINGS, draw(seed, "opening", asked.model))
    first = int(draw(seed, "facts", asked.model, asked.prompt, asked.system_prompt) * len(facts))
    count = 2 + int(draw(seed, "length", *key) * 2)
    said = [facts[(first + step) % len(facts)].format(model=asked.model) for step in range(count)]
    if draw(seed, "regional", *key) < 0.4:  # noqa: PLR2004 - in two answers of five the region shows
        said.append(_pick(_REGIONAL, draw(seed, "view", asked.region, asked.prompt)))
    return f"{MARK} {opening}{' '.join(said)}"


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer came about: what a remote function would know of its own container. Seconds, unscaled.

    `load` is the part of the boot that the model's weights took.
    """

    container: str
    cold: bool
    boot: float
    queue: float
    generation: float
    modal_region: str = ""
    cloud: str = ""
    gpu: str = ""


_LOADING = 0.6
"""The share of a cold start that goes into loading the model."""


def reply(seed: int, asked: Asked, served: Served, rule: Rule | None) -> Any:
    """What the remote function returns: the original system's mapping, or what the script ordered instead."""
    effect = rule.effect if rule else None
    if rule and effect is Effect.BAD_ANSWER:
        return ["an answer", "of the wrong form"] if rule.value is msgspec.UNSET else rule.value
    body: dict[str, Any] = {
        **_about(asked, served),
        "inference_time": round(served.generation, 3),
        "prompt_tokens": max(1, len(asked.system_prompt + asked.prompt) // 4),
        "engine": ENGINE,
        "execution_id": asked.key,
        "attempt": asked.attempt,
        "synthetic": True,
    }
    if rule and effect is Effect.MODEL_ERROR:
        return {"status": "error", "error": rule.message or "the model failed, as the script ordered", **body}
    response = text(seed, asked)
    if rule and effect is Effect.HUGE:
        size = int(rule.amount) or 5_000_000
        response = (response + " ") * (size // (len(response) + 1) + 1)
        response = response[:size]
    memory = round(2.0 + 12.0 * draw(seed, "memory", asked.model), 2)
    return {
        "status": "success",
        "response": response,
        "finish_reason": "stop",
        "tokens_generated": max(1, len(response) // 4),
        "gpu_memory_used": memory,
        **body,
    }


def health(asked: Asked, served: Served) -> dict[str, Any]:
    """What a container says of itself when nothing is asked of its model."""
    return {"status": "healthy", **_about(asked, served)}


def _about(asked: Asked, served: Served) -> dict[str, Any]:
    return {
        "model": asked.model,
        "region": asked.region,
        "container": served.container,
        "cold_start": served.cold,
        "cloud": served.cloud,
        "modal_region": served.modal_region,
        "gpu": served.gpu,
        "seconds": {
            "boot": round(served.boot * (1 - _LOADING), 3),
            "load": round(served.boot * _LOADING, 3),
            "queue": round(served.queue, 3),
            "generation": round(served.generation, 3),
        },
    }


def _pick(choices: tuple[str, ...], drawn: float) -> str:
    return choices[int(drawn * len(choices))]
