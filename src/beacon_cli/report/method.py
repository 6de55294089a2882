"""The foot of the page: prompts, what ran, every test, how often readings are right, how to recompute. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from beacon_cli.evidence.accuracy import REFUSAL, Share
from beacon_cli.evidence.findings import Effect, Findings
from beacon_cli.report import figures
from beacon_cli.report.frame import Frame
from beacon_cli.report.markup import Html, tag
from beacon_cli.report.parts import pairs, section, table

_MOST_PROMPTS = 2_000
_LONGEST = 2_000


def prompts(findings: Findings) -> Html:
    """What each question looked like to the models, with its hash."""
    rows = [
        [
            prompt.question if prompt.context is None else f"{prompt.question} ({prompt.context})",
            prompt.region or "all",
            _short(prompt.text),
            _short(prompt.system_prompt or "none"),
            tag("code", prompt.sha256[:16]),
        ]
        for prompt in findings.prompts[:_MOST_PROMPTS]
    ]
    if not rows:
        return section("prompts", "Prompts", tag("p", "Not known: the answers were collected elsewhere."))
    headings = ("question", "region", "text", "system prompt", "sha256 of system prompt, NUL and text")
    rest = len(findings.prompts) - len(rows)
    return section(
        "prompts",
        "Prompts",
        tag("details", tag("summary", f"{len(rows):,} prompts"), table("Prompts", headings, rows)),
        tag("p", f"And {rest:,} more.") if rest else None,
    )


def deployments(findings: Findings) -> Html:
    """What answered, as the answers tell it: revision, engine, image, GPU and their like."""
    rows = [
        [each.group, each.model, fact.name, ", ".join(fact.values) or "not told", f"{fact.unknown:,}"]
        for each in findings.deployments
        for fact in each.facts
        if fact.values
    ]
    drawn = ", ".join(f"{name} {value}" for name, value in sorted(findings.sampling.items())) or "the models' own"
    headings = (findings.axis.value, "model", "what", "values", "answers that did not tell")
    return section(
        "deployments",
        "What answered",
        tag("p", f"Sampling: {drawn}. Repeats: {findings.design.repeats or 'not known'}."),
        tag(
            "details",
            tag("summary", "Revision, engine, image, GPU and the like"),
            table("What the answers told of how they came about", headings, rows, numbers=(4,), names=2),
        )
        if rows
        else tag("p", "The answers told nothing of how they came about."),
    )


def method(findings: Findings, frame: Frame) -> Html:
    """The design, the tests and the command that computes all this again."""
    design = findings.design
    said = [*figures.method(findings), ("design hash", design.hash), *figures.accuracy(frame)]
    said += [
        (
            f"run {source.name}",
            " · ".join(part for part in (source.began_at, _version(source.beacon)) if part) or "?",
        )
        for source in frame.sources
    ]
    headings = (
        "test",
        "model",
        "measure",
        "groups",
        "gap (points)",
        "interval",
        "p",
        "adjusted p",
        "permutations",
        "containers",
        "questions",
        "detectable (points)",
    )
    return section(
        "method",
        "How it was computed",
        pairs(said),
        tag("pre", tag("code", findings.recompute)),
        tag(
            "details",
            tag("summary", f"Every test ({len(findings.effects):,})"),
            table("Every test", headings, map(_test, findings.effects), numbers=range(4, 12), names=3),
        )
        if findings.effects
        else None,
        tag("details", tag("summary", "How often readings are right, by language"), _accuracy(frame)),
    )


def _test(effect: Effect) -> list[str]:
    permutations = (
        f"{effect.permutations:,}{' (all)' if effect.exact else ''}" if effect.permutations else figures.NONE
    )
    confidence = f" ({100 * effect.confidence:.3g} %)" if effect.low is not None else ""
    correction = f" ({effect.correction}, {effect.family})" if effect.correction != "none" else ""
    return [
        effect.role.value,
        effect.model,
        figures.called(effect.measure),
        ", ".join(effect.groups),
        figures.hundredths(effect.gap),
        figures.interval(effect.low, effect.high) + confidence,
        figures.probability(effect.p),
        figures.probability(effect.p_adjusted) + correction,
        permutations,
        ", ".join(str(each.containers) for each in effect.starts),
        f"{effect.questions:,} of {effect.questions_planned:,}",
        figures.hundredths(effect.smallest_detectable),
    ]


def _accuracy(frame: Frame) -> Html:
    rows = [
        [each.language, *_share(each.precision), *_share(each.recall)]
        for each in frame.accuracy.accuracy
        if each.half == "held_out" and each.category == REFUSAL
    ]
    headings = ("language", "precision", "95 %", "of", "recall", "95 %", "of")
    said = f"Refusals on the held-out half of a synthetic sample of {frame.accuracy.answers} answers"
    return table(said, headings, rows, numbers=range(1, 7))


def _share(share: Share) -> Iterator[str]:
    yield from (figures.percent(share.share), figures.interval(share.low, share.high), f"{share.of:,}")


def _version(version: str | None) -> str:
    return f"beacon {version}" if version else ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
