"""From answers to findings: every test in its order, each model by itself, and the corrections over all of them.

Deterministic: the same answers, in whatever order, give the same findings to the byte. Must not know where answers
are kept, nor how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from beacon_cli.evidence import controls, gaps, noise, parity, tallies, verdicts
from beacon_cli.evidence import pairs as pairing
from beacon_cli.evidence.answers import Answer, Exclusion, Prompt, Survivors
from beacon_cli.evidence.corrections import holm
from beacon_cli.evidence.design import seed
from beacon_cli.evidence.effects import Ask, between_two, distances, effect, rounded
from beacon_cli.evidence.findings import (
    SCHEMA,
    Agreement,
    Axis,
    ControlQuestions,
    Design,
    Effect,
    Findings,
    Gap,
    NegativeControl,
    NoiseFloor,
    Parity,
    Role,
    Verdict,
)
from beacon_cli.evidence.measures import DISTANCES
from beacon_cli.evidence.pairs import Pairs
from beacon_cli.evidence.units import ANSWERED, RATES, Units, cell, paired, shared, units
from beacon_cli.model import Measure, Spec


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """Where the answers are from: `spec` None if they were collected elsewhere, `recompute` the command to give.

    `interrupted`: some planned executions were stopped before they had an outcome. `beside`: of two runs,
    what they were asked otherwise (`parity.of_runs`).
    """

    job: str
    runs: tuple[str, ...]
    rehearsal: bool
    recompute: str
    interrupted: bool = False
    spec: Spec | None = None
    beside: parity.Beside = parity.Beside()
    notes: tuple[str, ...] = ()


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    """What was computed for one model before the corrections over all."""

    name: str
    answers: list[Answer]
    survivors: tuple[Survivors, ...]
    parity: Parity
    effects: list[Effect]
    gaps: list[Gap]
    tests: int
    noise: list[NoiseFloor]
    agreement: list[Agreement]


def findings(answers: Iterable[Answer], design: Design, material: Material) -> Findings:
    """What the answers of a run say about its regions: every figure of a report, and a verdict for each model."""
    return _found(answers, design, material, Axis.REGION)


def compared(first: Iterable[Answer], second: Iterable[Answer], design: Design, material: Material) -> Findings:
    """The same about two runs, whose answers are of two groups (see `gathering.gather`).

    Paired on the cells (region, model, question, context, repeat) that both have; containers are permuted between
    the runs within each region.
    """
    return _found([*first, *second], design, material, Axis.RUN)


def _found(answers: Iterable[Answer], design: Design, material: Material, axis: Axis) -> Findings:
    ordered = sorted(answers, key=_order)
    groups = _groups(ordered, material, axis)
    names = _named(
        [answer.model for answer in ordered], [m.id for m in material.spec.models] if material.spec else []
    )
    asked = parity.prompts(material.spec)
    is_untold = material.spec is None and axis is Axis.REGION
    beside = parity.Beside(unknown=("prompt",)) if is_untold else material.beside
    family = max(1, len(names))
    models = [
        _model(name, [a for a in ordered if a.model == name], groups, design, (asked, beside), axis, family)
        for name in names
    ]
    corrected = _corrected([effect for model in models for effect in model.effects])
    judged = [
        _judged(model, [each for each in corrected if each.model == model.name], design, material, axis)
        for model in models
    ]
    every = tuple(answer for model in models for answer in model.answers)
    return Findings(
        schema=SCHEMA,
        axis=axis,
        job=material.job,
        runs=material.runs,
        rehearsal=material.rehearsal,
        interrupted=material.interrupted,
        design=design,
        groups=groups,
        models=tuple(names),
        tests=sum(model.tests for model in models),
        seed=seed(design),
        notes=(*material.notes, *_notes(every, groups, design, material, axis)),
        verdicts=tuple(verdict for verdict, _, _ in judged),
        effects=tuple(corrected),
        survivors=tuple(each for model in models for each in model.survivors),
        rates=tuple(tallies.rates(every, groups, names)),
        noise=tuple(each for model in models for each in model.noise),
        agreement=tuple(each for model in models for each in model.agreement),
        parity=tuple(model.parity for model in models),
        negative_controls=tuple(control for _, control, _ in judged),
        control_questions=tuple(each for _, _, each in judged if each is not None),
        gaps=tuple(gap for model in models for gap in model.gaps),
        prompts=asked,
        sampling=msgspec.to_builtins(material.spec.sampling) if material.spec else {},
        deployments=parity.deployments(every, groups, names),
        answers=every,
        recompute=material.recompute,
    )


def _model(
    name: str,
    answers: list[Answer],
    groups: tuple[str, ...],
    design: Design,
    asked: tuple[Sequence[Prompt], parity.Beside],
    axis: Axis,
    family: int,
) -> _Model:
    present = tuple(group for group in groups if any(answer.group == group for answer in answers))
    answers = shared(answers, present) if axis is Axis.REGION else paired(answers)
    these = units([a for a in answers if a.excluded is None], present, by_region=axis is Axis.RUN)
    primary = Measure(design.primary)
    those = pairing.pairs(these, list(DISTANCES), seed(design), primary)
    ask = Ask(
        model=name,
        measure=primary,
        role=Role.PRIMARY,
        planned=len({cell(answer) for answer in answers}),
        alpha=design.alpha,
        seed=seed(design),
        level=design.alpha / family,
        by_region=axis is Axis.RUN,
    )
    effects = list(_effects(ask, these, those, design)) if len(present) > 1 else []
    largest, tested = gaps.gaps(name, these, those, primary, seed(design))
    left = tuple(tallies.survivors(group, name, answers) for group in present)
    return _Model(
        name=name,
        answers=answers,
        survivors=left,
        parity=parity.parity(name, answers, left, asked[0], axis, asked[1]),
        effects=effects,
        gaps=largest,
        tests=sum(each.p is not None for each in effects) + tested,
        noise=noise.noise(name, these, those),
        agreement=noise.agreement(name, these, those),
    )


def _effects(ask: Ask, these: Units, those: Pairs, design: Design) -> Iterator[Effect]:
    """Every test of one model: the primary one, its pairs, control questions and the others, other measures."""
    yield effect(ask, these, those)
    if len(these.groups) > 2:  # noqa: PLR2004 - of two there is one pair, which was just tested
        pair = msgspec.structs.replace(ask, role=Role.PAIR)
        for place, first in enumerate(these.groups):
            for second in these.groups[place + 1 :]:
                yield between_two(pair, these, those, first, second)
    if design.control_category is not None:
        for role in (Role.CONTROL, Role.SENSITIVE):
            some = _part(these, design.control_category, by_region=ask.by_region, is_control=role is Role.CONTROL)
            if some.answers and len(some.answers) < len(these.answers):
                planned = len({cell(answer) for answer in some.answers})
                part = msgspec.structs.replace(ask, role=role, planned=planned)
                yield effect(
                    part, some, pairing.pairs(some, [] if ask.measure in RATES else [ask.measure], ask.seed)
                )
    beside = msgspec.structs.replace(ask, role=Role.SECONDARY)
    for measure in (Measure.REFUSALS, Measure.SUBSTANTIVE):
        if measure is not ask.measure:
            yield effect(msgspec.structs.replace(beside, measure=measure), these, those)
    yield from distances(beside, these, those, [measure for measure in DISTANCES if measure is not ask.measure])


def _part(these: Units, category: str, *, by_region: bool, is_control: bool) -> Units:
    chosen = [answer for answer in these.answers if (answer.category == category) is is_control]
    return units(chosen, these.groups, by_region=by_region)


def _corrected(effects: list[Effect]) -> list[Effect]:
    """Holm over one kind of test of all models, for pairs over those of each model; other measures as they are."""
    families: dict[tuple[Role, str], list[int]] = {}
    for place, each in enumerate(effects):
        if each.role is not Role.SECONDARY:
            families.setdefault((each.role, each.model if each.role is Role.PAIR else ""), []).append(place)
    done = [msgspec.structs.replace(each, p_adjusted=each.p) for each in effects]
    for places in families.values():
        ps = holm([effects[place].p for place in places])
        for place, p in zip(places, ps, strict=True):
            done[place] = msgspec.structs.replace(
                effects[place],
                p_adjusted=rounded(p),
                correction="holm",
                family=sum(each is not None for each in ps),
            )
    return done


def _judged(
    model: _Model, effects: list[Effect], design: Design, material: Material, axis: Axis
) -> tuple[Verdict, NegativeControl, ControlQuestions | None]:
    primary = next((each for each in effects if each.role is Role.PRIMARY), None)
    case = verdicts.Case(
        model=model.name,
        axis=axis,
        design=design,
        primary=primary,
        pairs=tuple(each for each in effects if each.role is Role.PAIR),
        survivors=model.survivors,
        parity=model.parity,
        rehearsal=material.rehearsal,
    )
    verdict = verdicts.verdict(case)
    two = [next((each for each in effects if each.role is role), None) for role in (Role.CONTROL, Role.SENSITIVE)]
    beside = (
        controls.control_questions(model.name, design.control_category, two, design.alpha)
        if design.control_category is not None
        else None
    )
    is_borne = verdicts.is_borne(case)
    return verdict, controls.negative_control(primary, model.parity, verdict, axis, is_borne=is_borne), beside


def _notes(
    answers: Sequence[Answer], groups: Sequence[str], design: Design, material: Material, axis: Axis
) -> Iterator[str]:
    if material.rehearsal:
        yield "This is a rehearsal: every answer is made up, and nothing here says anything about a model."
    if not any(answer.kind in ANSWERED for answer in answers):
        yield "There is no answer to compare."
    if len(groups) == 1:
        yield f"There is one {axis} alone: nothing can be compared."
    if material.interrupted:
        yield (
            "Not every execution has its outcome: the run still goes on, or it was stopped and `beacon resume`"
            " goes on with it."
        )
    if not design.registered:
        yield "The design was not fixed before the answers came; read every p-value as exploratory."
    elif not design.declared:
        yield "The job has no `analysis:`; the defaults were fixed in the journal before the first answer."
    if elsewhere := sum(answer.excluded is Exclusion.ELSEWHERE for answer in answers):
        them = "answer came from another region than the one asked for; it is excluded and shown."
        many = "answers came from another region than the one asked for; they are excluded and shown."
        yield f"{elsewhere} {them if elsewhere == 1 else many}"


def _groups(answers: Sequence[Answer], material: Material, axis: Axis) -> tuple[str, ...]:
    known = [region.id for region in material.spec.regions] if material.spec else []
    return tuple(_named([answer.group for answer in answers], known if axis is Axis.REGION else material.runs))


def _named(found: Iterable[str], known: Sequence[str]) -> list[str]:
    """The names that were found: those of the job in its order, then the others by alphabet."""
    names = set(found)
    return [name for name in known if name in names] + sorted(names - set(known))


def _order(answer: Answer) -> tuple[str, str, str, str, str, int, str]:
    return (
        answer.model,
        answer.group,
        answer.region,
        answer.question,
        answer.context or "",
        answer.repeat,
        answer.execution,
    )
