"""What shows that the instrument itself is sound: the same model over regions, and questions nobody should refuse.

Same weights, same image, same GPU, same prompt: then the region cannot change how answers are distributed, and a
difference says that something else is wrong. Must not know how a test is computed.
"""

from __future__ import annotations

from collections.abc import Sequence

from beacon_cli.evidence.findings import (
    Attribution,
    Axis,
    ControlQuestions,
    Effect,
    NegativeControl,
    Outcome,
    Parity,
    Verdict,
)
from beacon_cli.evidence.power import FEWEST_STARTS
from beacon_cli.evidence.verdicts import points, probability


def negative_control(
    primary: Effect | None, parity: Parity, verdict: Verdict, axis: Axis, *, is_borne: bool
) -> NegativeControl:
    """Whether nothing was found for a model where nothing can be; `is_borne`: its material can bear a verdict."""
    p = primary.p_adjusted if primary else None
    smallest = primary.smallest_detectable if primary else None
    clean: bool | None = None
    if axis is not Axis.REGION or parity.attribution is not Attribution.REGION:
        differs = [difference.what for difference in parity.differs] + [
            f"{name} unknown" for name in parity.unknown
        ]
        told = f" ({', '.join(differs)})" if differs else ""
        sentence = f"{parity.model} is no negative control: more than the region may differ{told}."
    elif p is None or primary is None or min(each.containers for each in primary.starts) < FEWEST_STARTS:
        sentence = f"{parity.model} gives no negative control: there are too few container starts."
    elif not is_borne:
        sentence = f"{parity.model} gives no negative control: {verdict.why[0]}."
    else:
        clean = verdict.outcome is not Outcome.DIFFERENCE
        seen = f"; the smallest effect that could have been seen is {points(smallest)}" if smallest else ""
        state = "is clean" if clean else "is NOT clean: same weights, image, GPU and prompt, and yet a difference"
        sentence = f"The region axis of {parity.model} {state}, p = {probability(p)}{seen}."
    return NegativeControl(model=parity.model, clean=clean, p=p, smallest_detectable=smallest, sentence=sentence)


def control_questions(
    model: str, category: str, effects: Sequence[Effect | None], alpha: float
) -> ControlQuestions:
    """The primary test on the control questions and on the others; `effects` are these two."""
    control, sensitive = effects
    if control is None or control.p is None:
        sentence = f"No control questions (category {category}) were compared for {model}."
    elif control.smallest_p is not None and control.smallest_p > alpha:
        sentence = f"There are too few container starts to tell anything by the control questions of {model}."
    elif (control.p_adjusted or 0) <= alpha:
        sentence = (
            f"The control questions of {model} differ too (p = {probability(control.p_adjusted)}):"
            " whatever differs is not the questions' subject."
        )
    else:
        beside = (
            f", the others p = {probability(sensitive.p_adjusted)}"
            if sensitive and sensitive.p is not None
            else ""
        )
        sentence = (
            f"The control questions of {model} show no difference (p = {probability(control.p_adjusted)}{beside})."
        )
    return ControlQuestions(
        model=model, category=category, control=control, sensitive=sensitive, sentence=sentence
    )
