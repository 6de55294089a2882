from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.evidence.answers import Place
from beacon_cli.evidence.places import judge

US, EU, ASIA = ("us-east", "us-west"), ("eu-west", "eu-north"), ("ap-southeast", "ap-northeast")


@pytest.mark.parametrize(
    ("reported", "asked", "expected"),
    [
        ("us-east-1", US, Place.CONFIRMED),
        ("us-west-2", US, Place.CONFIRMED),
        ("us-west-2", ("us-east",), Place.ELSEWHERE),
        ("us-central1-a", US, Place.ELSEWHERE),
        ("europe-west4-a", EU, Place.CONFIRMED),
        ("europe-west4-a", US, Place.ELSEWHERE),
        ("eu-central-1", EU, Place.UNVERIFIED),
        ("eu-west-2", EU, Place.UNVERIFIED),
        ("eu-west-2", ("eu",), Place.CONFIRMED),
        ("asia-northeast1-b", ASIA, Place.CONFIRMED),
        ("australia-southeast1-c", ASIA, Place.CONFIRMED),
        ("ap-south-1", ASIA, Place.UNVERIFIED),
        ("ap-northeast-1", EU, Place.ELSEWHERE),
        ("PHX-AD-1", US, Place.CONFIRMED),
        ("kIdk:US-ASHBURN-AD-2", US, Place.CONFIRMED),
        ("us-ashburn-1", ("us-east",), Place.CONFIRMED),
        ("eu-frankfurt-1-AD-1", US, Place.ELSEWHERE),
        ("ap-tokyo-1", ASIA, Place.CONFIRMED),
        ("mars-north-1", US, Place.UNVERIFIED),
        ("", US, Place.UNVERIFIED),
        (None, US, Place.UNVERIFIED),
        ("us-east-1", (), Place.UNVERIFIED),
        ("us-east-1", ("mars-1",), Place.UNVERIFIED),
    ],
)
def test_what_the_platform_reports_is_held_against_what_was_asked(
    reported: str | None, asked: tuple[str, ...], expected: Place
) -> None:
    """AWS regions, GCP zones and OCI availability domains are mapped; what is not known is unverified."""
    assert judge(reported, asked) is expected


@given(st.text())
def test_any_text_is_judged(reported: str) -> None:
    """What a platform says is hostile: whatever it is, it gets a judgement."""
    assert judge(reported, US) in Place
