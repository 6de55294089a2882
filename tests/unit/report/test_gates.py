from __future__ import annotations

import pytest
from tests.support.reports import small
from tests.support.stories import found, job, row

from beacon_cli.errors import UsageError
from beacon_cli.report import gates


def crossings(*texts: str, **values: object) -> list[str]:
    """What the small run crosses."""
    return gates.crossed(small(**values), [gates.parse(text) for text in texts])


def test_a_difference_crosses_its_gate_alone() -> None:
    """The gate on a verdict says the model and the sentence; the other verdict's gate stays closed."""
    (line,) = crossings("difference", "inconclusive")
    assert line.startswith(
        "--fail-on difference: m: Difference for m, a regional difference: refusals are 50 points"
    )


@pytest.mark.parametrize(("text", "lines"), [("refusals>49.9%", 1), ("refusals > 50 %", 0), ("refusals>0%", 1)])
def test_a_share_crosses_above_its_limit_and_not_at_it(text: str, lines: int) -> None:
    """In asia 16 of 32 answers refuse: over 49.9 %, not over 50 %."""
    found = crossings(text)
    assert len(found) == lines
    assert all("m in asia: 50.0 % (16 of 32)" in line for line in found)


def test_what_is_missing_is_a_share_of_what_was_planned() -> None:
    """Half of eu's executions have no answer; the gate says so for eu alone."""
    rows = [
        row(region, f"q{n}", 1, None if region == "eu" and n % 2 else "Yes.")
        for region in ("us", "eu")
        for n in range(8)
    ]
    findings = found(rows, job(starts=1))
    assert gates.crossed(findings, [gates.parse("missing>5%"), gates.parse("empty>0%")]) == [
        "--fail-on missing>5%: m in eu: 50.0 % (4 of 8)"
    ]


def test_what_nobody_can_know_crosses() -> None:
    """Without an answer a rate of refusals has nothing to count: that is no success."""
    findings = found([row(region, "q0", 1, None) for region in ("us", "eu")], None)
    assert [line for line in gates.crossed(findings, [gates.parse("refusals>10%")]) if "nothing to count" in line]
    nothing = found([], None)
    assert gates.crossed(nothing, [gates.parse("missing>5%")]) == [
        "--fail-on missing>5%: there is nothing to count"
    ]
    assert gates.crossed(nothing, [gates.parse("inconclusive")])


def test_a_rehearsal_says_so_at_its_gates() -> None:
    """CI can try its gates on a rehearsal, and nobody takes that for a finding."""
    assert all(
        "(rehearsal)" in line or "Rehearsal" in line
        for line in crossings("difference", "refusals>1%", rehearsal=True)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("diference", "'diference' is no gate; did you mean 'difference'?"),
        ("refusal>10%", "there is no share 'refusal'; did you mean 'refusals'?"),
        ("refusals>10", "'refusals>10' is no gate"),
        ("refusals<10%", "'refusals<10%' is no gate"),
        ("refusals>101%", "a share is never over 100 %"),
        ("", "'' is no gate; known: difference, inconclusive"),
        ("\x1b[2J", "'\\x1b[2J' is no gate"),
    ],
)
def test_what_is_no_gate_is_refused_with_the_nearest(text: str, said: str) -> None:
    """A gate that is misspelt is a usage error, shown harmlessly."""
    with pytest.raises(UsageError) as caught:
        gates.parse(text)
    assert said in str(caught.value)
