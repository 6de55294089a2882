"""The app of a region, made from the table. Reads one variable on deploying: which secret opens gated models."""

from __future__ import annotations

import os
from typing import Any

import modal

from beacon_app import serving, settings
from beacon_app.settings import Place


def deployment(region: str) -> modal.App:
    """The app of a region: a class for each GPU, and the functions beside them.

    Raises:
        ValueError: there is no such region in the table.
    """
    place = settings.place(region)
    name = settings.APP.format(app=place.app)
    volume = modal.Volume.from_name(settings.VOLUME.format(app=place.app), create_if_missing=True)
    app = modal.App(name, tags={"beacon_region": place.id})
    plain = modal.Image.debian_slim(python_version=settings.PYTHON)
    serves = plain.uv_pip_install(*settings.PACKAGES[settings.ENGINE]).add_local_python_source("beacon_app")
    light = plain.add_local_python_source("beacon_app")
    for cls in (serving.Model, serving.ModelT4):
        several: Any = modal.concurrent(max_inputs=settings.INPUTS)(cls) if settings.ENGINE == "vllm" else cls
        # A serving container changes nothing in the Volume.
        app.cls(
            image=serves,
            volumes={settings.WEIGHTS: volume.read_only()},
            **class_options(place, cls.__name__),
        )(several)
    waiting = modal.concurrent(max_inputs=settings.WAITING)(serving.run_inference)
    app.function(image=light, **function_options(place))(waiting)
    app.function(image=light, **function_options(place))(serving.health)
    app.function(
        image=serves,
        volumes={settings.WEIGHTS: volume},
        secrets=secrets(),
        **download_options(place),
    )(serving.download)
    return app


def class_options(place: Place, cls: str) -> dict[str, Any]:
    """How a class is deployed in a region, but for its image and Volume."""
    return {
        "gpu": settings.GPU_OF[cls],
        "memory": settings.MEMORY_MB[cls],
        "timeout": settings.TIMEOUT,
        "startup_timeout": settings.STARTUP_TIMEOUT,
        "scaledown_window": settings.SCALEDOWN_WINDOW,
        "max_containers": settings.MAX_CONTAINERS,
        "enable_memory_snapshot": True,
        "env": {**_environment(place), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        **_everywhere(place),
    }


def function_options(place: Place) -> dict[str, Any]:
    """How the functions without a GPU are deployed in a region. They wait for a class to start and to answer."""
    return {
        "timeout": settings.STARTUP_TIMEOUT + settings.TIMEOUT,
        "max_containers": settings.MAX_CONTAINERS,
        "env": _environment(place),
        **_everywhere(place),
    }


def download_options(place: Place) -> dict[str, Any]:
    """How the download is deployed in a region, but for its image, Volume and secret."""
    return {
        "timeout": settings.DOWNLOAD_TIMEOUT,
        "max_containers": settings.MAX_CONTAINERS,
        "env": _environment(place),
        **_everywhere(place),
    }


def secrets() -> list[modal.Secret]:
    """The secret with `HF_TOKEN`, if one was named: gated models need it, and the download alone has it."""
    name = os.environ.get(settings.SECRET_VARIABLE, "")
    return [modal.Secret.from_name(name, required_keys=["HF_TOKEN"])] if name else []


def _everywhere(place: Place) -> dict[str, Any]:
    routed = {"routing_region": place.routing} if place.routing else {}
    return {
        "region": list(place.regions),
        "retries": settings.RETRIES,
        "_experimental_restrict_output": True,  # what comes back is data: see docs/security.md
        **routed,
    }


def _environment(place: Place) -> dict[str, str | None]:
    return {
        "BEACON_APP": settings.APP.format(app=place.app),
        "BEACON_REGION": place.id,
        "BEACON_VOLUME": settings.VOLUME.format(app=place.app),
    }
