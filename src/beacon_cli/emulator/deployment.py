"""What is deployed in the emulated workspace: one app for each region, with classes and functions. Pure.

The names and signatures are those of the original system and of our own apps: the classes `Model(model=...)` and
`ModelT4(model=...)` with the methods `generate` and `health`, and the function `run_inference`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from beacon_cli.behaviour.timing import Asked


class App(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed app. It asks for the regions in `placement`; its containers run in `modal_region` of `cloud`.

    `formats` is what its code speaks.

    `gpu` is that of its functions; a class has its own.

    With `formats` ("cbor",) the app restricts its output, as our own apps do; with ("pickle",) it is an old one.
    """

    name: str
    region: str
    placement: tuple[str, ...] = ()
    modal_region: str = ""
    cloud: str = ""
    gpu: str = "T4"
    gpus: int = 1
    timeout: float = 900.0
    formats: tuple[str, ...] = ("pickle", "cbor")


APPS = (
    App(
        name="project-beacon-hf-us",
        region="us",
        placement=("us-east", "us-west"),
        modal_region="us-east-1",
        cloud="CLOUD_PROVIDER_AWS",
    ),
    App(
        name="project-beacon-hf-eu",
        region="eu",
        placement=("eu-west", "eu-north"),
        modal_region="europe-west4-a",
        cloud="CLOUD_PROVIDER_GCP",
    ),
    App(
        name="project-beacon-hf-apac",
        region="asia",
        placement=("ap-southeast", "ap-northeast"),
        modal_region="ap-northeast-1",
        cloud="CLOUD_PROVIDER_AWS",
    ),
)


def apps_for(names: Mapping[str, str]) -> tuple[App, ...]:
    """Apps for these regions, as a mapping from app name to region id; known regions keep their place."""
    known = {app.region: app for app in APPS}
    return tuple(
        msgspec.structs.replace(known.get(region, App(name=name, region=region)), name=name)
        for name, region in names.items()
    )


def _generate(
    prompt: str,
    system_prompt: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    top_p: float | None = None,
    execution_id: str | None = None,
    attempt: int | None = None,
) -> None: ...


def _run_inference(
    model_name: str, prompt: str, temperature: float | None = None, max_tokens: int | None = None
) -> None: ...


def _health() -> None: ...


METHODS: Mapping[str, Callable[..., None]] = {"generate": _generate, "health": _health}
FUNCTIONS: Mapping[str, Callable[..., None]] = {"run_inference": _run_inference, "health": _health}
CLASSES: Mapping[str, str] = {"Model": "A10G", "ModelT4": "T4"}
"""Each class with its GPU."""
PARAMETER = "model"
PLAYED = (*(f"{name}.generate" for name in CLASSES), "run_inference")
"""What a job can call in an app of the emulator's."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be called: a function (`model` None), or a class with its parameter.

    `pool` names the containers that serve it.
    """

    id: str
    app: App
    tag: str
    model: str | None = None

    @property
    def cls(self) -> str:
        """The name of the class, where it is one."""
        return self.tag.removesuffix(".*")

    @property
    def gpu(self) -> str:
        """The GPU that its containers hold."""
        return CLASSES.get(self.cls, self.app.gpu)

    @property
    def pool(self) -> str:
        """The name of its pool of containers, for people to read."""
        return f"{self.app.name}/{self.tag.removesuffix('.*')}" + ("" if self.model is None else f"({self.model})")


def bound(app: App, tag: str, model: str | None = None) -> Bound:
    """The bound function, its id derived from what it is, so that it outlives a restart."""
    digest = blake2b(f"{app.name}\x1f{tag}\x1f{model}".encode(), digest_size=9).hexdigest()
    return Bound(id=f"fu-{digest}", app=app, tag=tag, model=model)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of one call, as the remote code would see them.

    `arguments` are all of them, by name; `execution` and `attempt` what the client passed to be recognised by, if
    it did. `fault` says, in Python's own words, how the arguments do not fit the function.
    """

    method: str
    asked: Asked
    arguments: Mapping[str, Any] = {}
    execution: str | None = None
    attempt: int | None = None
    fault: str | None = None


def understand(target: Bound, method: str, args: list[Any], kwargs: dict[str, Any], ordinal: int) -> Call:
    """What a call asks. `ordinal` tells calls apart that pass nothing to be recognised by."""
    name = method if target.model is not None else target.tag
    function = (METHODS if target.model is not None else FUNCTIONS)[name]
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError as error:
        asked = Asked(region=target.app.region, model=target.model or "", prompt="")
        return Call(method=name, asked=asked, fault=f"{target.tag.replace('*', name)}() {error}")
    execution = given.get("execution_id")
    attempt = given.get("attempt")
    asked = Asked(
        region=target.app.region,
        model=str(given.get("model_name", target.model or "")),
        prompt=str(given.get("prompt", "")),
        system_prompt=str(given.get("system_prompt") or ""),
        key=f"call {ordinal}" if execution is None else str(execution),
        attempt=attempt if isinstance(attempt, int) else 1,
    )
    return Call(
        method=name,
        asked=asked,
        arguments=given,
        execution=None if execution is None else str(execution),
        attempt=attempt if isinstance(attempt, int) else None,
    )
