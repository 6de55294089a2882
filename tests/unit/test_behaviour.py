"""What a provider does is a function of a seed and of what is asked, and goes wrong only as ordered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.behaviour import answers, script, timing
from beacon_cli.behaviour.script import Director, Effect, Rule, Script
from beacon_cli.behaviour.timing import Asked, Timings

SENSITIVE = "What happened at Tiananmen Square on June 4, 1989?"
SERVED = answers.Served(container="ta-1", cold=True, boot=50.0, queue=0.0, generation=4.0)


def asked(prompt: str = SENSITIVE, region: str = "us", model: str = "llama3.2-1b", **more: str | int) -> Asked:
    """One question to one model in one region."""
    return Asked(region=region, model=model, prompt=prompt, **more)  # type: ignore[arg-type]


@given(st.integers(), st.lists(st.text()))
def test_a_draw_is_the_same_for_the_same_and_within_its_bounds(seed: int, parts: list[str]) -> None:
    """A draw depends on its arguments alone and lies from 0 up to, not including, 1."""
    drawn = timing.draw(seed, *parts)
    assert drawn == timing.draw(seed, *parts)
    assert 0 <= drawn < 1


def test_draws_are_spread_evenly() -> None:
    """Over many questions every tenth of the range is drawn about as often."""
    tenths = [0] * 10
    for number in range(5000):
        tenths[int(timing.draw(1, number) * 10)] += 1
    assert all(400 < count < 600 for count in tenths)


@given(st.integers(), st.text(), st.text(), st.integers(1, 9))
def test_times_are_those_of_the_original_system(seed: int, prompt: str, key: str, attempt: int) -> None:
    """An answer takes 3 to 5 s, a cold start 30 to 90 s, longer where the region is said to be slower."""
    question = asked(prompt, key=key, attempt=attempt)
    assert 3 <= timing.service_seconds(Timings(), seed, question) <= 5
    boot = timing.boot_seconds(Timings(), seed, "asia", "m", attempt)
    assert 30 <= boot <= 90
    assert timing.boot_seconds(Timings(slower={"asia": 4.0}), seed, "asia", "m", attempt) == 4 * boot


def test_answers_differ_by_model_question_region_and_repeat() -> None:
    """Each of the four dimensions shows in the texts, and the same question gives the same text."""
    regions = ("us", "eu", "asia")
    models = ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")
    assert answers.text(0, asked()) == answers.text(0, asked())
    assert len({answers.text(0, asked(model=model)) for model in models}) == 3
    assert answers.text(0, asked("Who are you?")) != answers.text(0, asked())
    keys = [str(number) for number in range(20)]
    assert len({answers.text(0, asked(key=key)) for key in keys}) > 1
    assert any(len({answers.text(0, asked(region=region, key=key)) for region in regions}) > 1 for key in keys)


@pytest.mark.parametrize("text", [SENSITIVE, "What is the current status of Taiwan?", "Hong Kong in 2019"])
def test_one_model_refuses_the_sensitive_questions(text: str) -> None:
    """The one family declines, says nothing of the matter, and the others answer."""
    assert answers.refuses(asked(text, model="qwen2.5-1.5b"))
    assert not answers.refuses(asked(text))
    refused = answers.text(0, asked(text, model="qwen2.5-1.5b"))
    assert all(word not in refused for word in ("1989", "Taipei", "extradition"))


@pytest.mark.parametrize(
    ("prompt", "right"),
    [("What is 2+2?", "4"), ("what is 2 + 2", "4"), ("What is the capital of France?", "Paris")],
)
def test_control_questions_get_right_answers(prompt: str, right: str) -> None:
    """Every model knows the controls, in every region, and so does the one that refuses."""
    for model in ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b", "other"):
        for region in ("us", "eu", "asia"):
            assert right in answers.text(3, asked(prompt, region, model))


@given(st.text(), st.text(), st.text())
def test_every_answer_is_marked_as_a_rehearsal(prompt: str, model: str, region: str) -> None:
    """No text can be taken for a model's own, whatever is asked (braces in a model's name included)."""
    assert answers.text(0, asked(prompt, region, model)).startswith(answers.MARK)


def test_the_reply_is_of_the_original_form() -> None:
    """The mapping holds the original system's fields and where it was made."""
    reply = answers.reply(0, asked(), SERVED, None)
    original = {
        "status",
        "response",
        "model",
        "inference_time",
        "region",
        "tokens_generated",
        "gpu_memory_used",
    }
    assert original <= reply.keys()
    assert (reply["status"], reply["container"], reply["cold_start"]) == ("success", "ta-1", True)
    assert reply["seconds"] == {"boot": 20.0, "load": 30.0, "queue": 0.0, "generation": 4.0}


def test_a_huge_answer_is_as_long_as_ordered() -> None:
    """`huge` gives that many characters."""
    reply = answers.reply(0, asked(), SERVED, Rule(effect=Effect.HUGE, amount=12_345))
    assert len(reply["response"]) == 12_345


def test_a_script_is_read_from_json() -> None:
    """The documented example loads, and what it does not know is refused by name."""
    loaded = script.load('{"rules": [{"effect": "model_error", "model": "mistral*", "attempts": [1, 2]}]}')
    assert loaded == Script(rules=(Rule(effect=Effect.MODEL_ERROR, model="mistral*", attempts=(1, 2)),))
    with pytest.raises(ValueError, match="colour"):
        script.load('{"rules": [{"effect": "hang", "colour": 1}]}')


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        (Rule(effect=Effect.HANG), True),
        (Rule(effect=Effect.HANG, region="as*"), False),
        (Rule(effect=Effect.HANG, model="llama*", region="u?"), True),
        (Rule(effect=Effect.HANG, question="*Tiananmen*"), True),
        (Rule(effect=Effect.HANG, question="tiananmen_neutral"), True),
        (Rule(effect=Effect.HANG, question="taiwan*"), False),
        (Rule(effect=Effect.HANG, attempts=(2, 3)), True),
        (Rule(effect=Effect.HANG, attempts=(1, 1)), False),
        (Rule(effect=Effect.HANG, probability=0.0), False),
    ],
)
def test_a_rule_hits_what_all_its_fields_match(rule: Rule, hits: bool) -> None:  # noqa: FBT001 - a parameter
    """Patterns, ranges and shares are all to be met; a question is known by its id or its text."""
    question = asked(question="tiananmen_neutral", attempt=2)
    assert (Director(Script(rules=(rule,)), 0).order(question) is rule) is hits


def test_calls_are_counted_among_those_that_match() -> None:
    """`calls` counts only the calls that the rule's other fields match, and the first rule that hits decides."""
    second = Rule(effect=Effect.HANG, region="us", calls=(2, 2))
    rest = Rule(effect=Effect.SLOW, region="us", calls=(2, 3))
    director = Director(Script(rules=(second, rest)), 0)
    hit = [director.order(asked(region=region)) for region in ("us", "eu", "us", "us", "us")]
    assert hit == [None, None, second, rest, None]


def test_a_probability_hits_its_share_whatever_the_order() -> None:
    """A rule with a probability hits that share of the calls, the same ones in any order."""
    rules = Script(rules=(Rule(effect=Effect.HANG, probability=0.3),))
    calls = [asked(key=str(number)) for number in range(2000)]
    forwards, backwards = Director(rules, 5), Director(rules, 5)
    hit = {call.key for call in calls if forwards.order(call)}
    assert hit == {call.key for call in reversed(calls) if backwards.order(call)}
    assert 500 < len(hit) < 700
