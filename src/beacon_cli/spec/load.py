"""From a job file to a `Spec`: read, check the form, check the sense, resolve every name.

Must not know where the configuration comes from: what it allows is passed in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from beacon_cli import model
from beacon_cli.errors import Fault, SpecError
from beacon_cli.model import JsonObject, ModalTarget, OpenaiTarget, Region, SimulatedTarget, Spec
from beacon_cli.names import RegionNames, quoted
from beacon_cli.spec import checks, endpoints, executors, questions, source
from beacon_cli.spec.complaints import Complaint, faults, first, shape
from beacon_cli.spec.job import Job, OpenaiPart, Part, QuestionList, QuestionPart
from beacon_cli.spec.source import Document

_Record = TypeVar("_Record", bound=msgspec.Struct)


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration allows: regions, those of them switched off, GPUs over all and in one region.

    `executors` are the blocks that a job may name in place of one of its own. A `foreign` job comes from somebody
    who may read nothing here: it names no file and has no executor but one of these.
    """

    regions: Sequence[Region]
    regions_off: Collection[str] = ()
    gpus_total: int = 10
    gpus_per_region: int = 3
    executors: Mapping[str, JsonObject] = {}
    foreign: bool = False


def load(path: Path, allowed: Allowed) -> Spec:
    """The job in the file at `path`.

    A question file is looked up beside the job file; it may also be named by an absolute path or with `..`, so a
    stranger's job can read files of whoever runs it, as far as they have the form of questions.

    Raises:
        SpecError: the file cannot be read or is wrong; it holds every fault found, by place.
    """
    return parse(source.read(path), path, allowed)


def parse(data: bytes, path: Path, allowed: Allowed) -> Spec:
    """The job in `data`, which was read from `path`. Raises as `load`."""
    file = str(path)
    document = source.parse(source.decode(data, file), file)
    names = RegionNames(allowed.regions)
    document, refused = executors.settled(document, allowed.executors, names, foreign=allowed.foreign)
    job, complaints = shape(document, Job, Job)
    asked, more, elsewhere = _questions(document, path, foreign=allowed.foreign)
    complaints += [*refused, *more]
    for check in (
        checks.regions(document, names, allowed.regions_off),
        checks.unique(document, ("models",), ("questions",), ("contexts",)),
        checks.limits(document, allowed.gpus_total, allowed.gpus_per_region),
        checks.placeholders(document),
        checks.carried(document),
        checks.evidence(document),
        endpoints.endpoints(document, names),
        endpoints.strands(document),
    ):
        complaints += first(check)
    found = [*faults(document, complaints), *elsewhere]
    if found:
        raise SpecError(tuple(found))
    spec = _spec(job, asked or job.questions, names, allowed)
    if not any(asks.regions is None or set(asks.regions) & {r.id for r in spec.regions} for asks in spec.models):
        nowhere = Complaint(("models",), "all of their regions are switched off in the configuration")
        raise SpecError(tuple(faults(document, [nowhere])))
    return spec


def _questions(
    document: Document, path: Path, *, foreign: bool
) -> tuple[list[QuestionPart], list[Complaint], list[Fault]]:
    """The questions of the file that the job names, if it names one; what is wrong with its name, and inside."""
    loc = ("questions", "file")
    name = checks.find(document.tree, *loc)
    if foreign and isinstance(checks.find(document.tree, "questions"), Mapping):
        return [], [Complaint(loc, "a job from outside may name no file; write the questions out")], []
    if not isinstance(name, str) or not name.strip():
        return [], [], []
    where = path.parent / name
    if not questions.is_known(where):
        return [], [Complaint(loc, f"{quoted(name)} has none of the known endings: {questions.kinds()}")], []
    try:
        data = source.read(where, regular=True)
    except SpecError as error:
        return [], [Complaint(loc, f"{quoted(name)}: {error.faults[0].message}")], []
    try:
        inner = questions.parse(data, where)
    except SpecError as error:
        return [], [], list(error.faults)
    asked, complaints = shape(inner, QuestionList, QuestionPart)
    complaints += first(checks.unique(inner, ()))
    return asked.root if asked else [], [], faults(inner, complaints)


def _spec(job: Job, asked: list[QuestionPart], names: RegionNames, allowed: Allowed) -> Spec:
    regions = _resolved(job.regions, names)
    return Spec(
        id=job.id,
        description=job.description or "",
        regions=tuple(region for region in regions if region.id not in allowed.regions_off),
        regions_off=tuple(region.id for region in regions if region.id in allowed.regions_off),
        models=tuple(
            model.Model(
                id=part.id,
                regions=None if part.regions is None else tuple(r.id for r in _resolved(part.regions, names)),
            )
            for part in job.models
        ),
        questions=tuple(
            model.Question(id=part.id, text=part.text, category=part.category or "") for part in asked
        ),
        contexts=tuple(model.Context(id=part.id, system_prompt=part.system_prompt) for part in job.contexts),
        system_prompt=job.system_prompt,
        repeats=max(job.repeats, (job.design and job.design.container_starts) or 1),
        sampling=_record(model.Sampling, job.sampling),
        limits=_limits(job, allowed),
        retry=_record(model.RetryRule, job.retry),
        breaker=_record(model.BreakerRule, job.breaker),
        schedule=job.schedule,
        in_flight=job.in_flight,
        analysis=_analysis(job),
        design=_record(model.DesignRule, job.design),
        keep_warm=_keep_warm(job, names),
        target=_target(job, names),
        ignore=tuple(job.ignore),
    )


def _resolved(listed: list[str], names: RegionNames) -> list[Region]:
    return [region for name in listed if (region := names.get(name))]


def _record(kind: type[_Record], part: Part | None) -> _Record:
    return kind(**dict(part or ()))


def _analysis(job: Job) -> model.Analysis | None:
    """What the job declares; None where it leaves it to the defaults."""
    if job.analysis is None:
        return None
    return model.Analysis(**{**dict(job.analysis), "question": job.analysis.question or ""})


def _keep_warm(job: Job, names: RegionNames) -> model.KeepWarm | None:
    if job.keep_warm is None:
        return None
    listed = job.regions if job.keep_warm.regions is None else job.keep_warm.regions
    return model.KeepWarm(hours=job.keep_warm.hours, regions=tuple(each.id for each in _resolved(listed, names)))


def _limits(job: Job, allowed: Allowed) -> model.Limits:
    workspace: JsonObject = {"concurrency": allowed.gpus_total, "per_region": allowed.gpus_per_region}
    if not (job.executor and job.executor.openai):
        workspace["models_at_once"] = min(allowed.gpus_total, allowed.gpus_per_region)
    given = {key: value for key, value in job.limits or () if value is not None}
    return model.Limits(**(workspace | given))


def _target(job: Job, names: RegionNames) -> model.Target:
    if job.executor and job.executor.modal:
        return _record(ModalTarget, job.executor.modal)
    if job.executor and job.executor.openai:
        return _endpoints(job.executor.openai, names)
    if job.executor and job.executor.simulated:
        return _record(SimulatedTarget, job.executor.simulated)
    return _own_app(job)


def _endpoints(part: OpenaiPart, names: RegionNames) -> OpenaiTarget:
    return OpenaiTarget(
        base_url=_by_region(part.base_url, names),
        api_key_env=None if part.api_key_env is None else _by_region(part.api_key_env, names),
        models=part.models,
        headers=part.headers,
        stop=tuple(part.stop),
        extra=part.extra,
        rate=_record(model.Rate, part.rate),
    )


def _by_region(value: str | dict[str, str], names: RegionNames) -> str | dict[str, str]:
    """The value, with its regions by id."""
    if isinstance(value, str):
        return value
    return {region.id: word for name, word in value.items() if (region := names.get(name))}


SMALLER = {"llama3.2-1b": "ModelT4", "qwen2.5-1.5b": "ModelT4"}
"""The models of beacon's own apps that a cheaper GPU holds, and the class that has it: see `modal_apps/`."""


def _own_app(job: Job) -> ModalTarget:
    """The app that comes with beacon, with an argument for whatever the job sets and does not ignore."""
    settings = {"system_prompt": job.system_prompt, "contexts": job.contexts or None, **dict(job.sampling or ())}
    carriers = [
        max(checks.SETTINGS[name][1])
        for name, value in settings.items()
        if value is not None and name not in job.ignore
    ]
    carried = {carrier.removeprefix("sampling."): f"{{{carrier}}}" for carrier in carriers}
    return ModalTarget(
        app="project-beacon-hf-{region.app}",
        cls="Model",
        classes={part.id: SMALLER[part.id] for part in job.models if part.id in SMALLER},
        parameters={"model": "{model.id}"},
        method="generate",
        arguments={"prompt": "{prompt}", **carried, "execution_id": "{execution.id}", "attempt": "{attempt}"},
    )
