"""`beacon deploy`: the apps of the regions, brought to Modal. They are files, and run in Modal's containers alone.

Knows where the files are and which region has which; the SDK is imported when there is something to deploy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import anyio
import msgspec

import beacon_cli
from beacon_cli import wiring
from beacon_cli.errors import StartError, UsageError
from beacon_cli.model import Region
from beacon_cli.names import RegionNames, printable, quoted

FOLDER = "modal_apps"
FILE = "project_beacon_hf_{app}.py"
APP = "project-beacon-hf-{app}"
SECRET_VARIABLE = "BEACON_HF_SECRET"  # noqa: S105 - the name of a variable that holds the name of a secret
DOWNLOAD = "download"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One region's app. `url` is its page at Modal, `weights` what became of each model's, if fetched."""

    region: str
    app: str
    file: str
    url: str | None = None
    weights: dict[str, str] | None = None


def chosen(names: Iterable[str], place: Path | None = None) -> list[Deployment]:
    """The apps of these regions, or of all that are switched on and have a file; in `place` if one is given.

    Raises:
        UsageError: a region that the configuration or the folder of the apps does not have.
        StartError: the files of the apps are not there.
    """
    settings = wiring.settings()
    known = RegionNames(settings.regions)
    wanted = [_known(name, known) for name in names]
    files = (place or folder()).absolute()
    if not files.is_dir():
        raise UsageError(f"--apps: {printable(str(place))} is no folder")
    found: list[Deployment] = []
    for region in dict.fromkeys(wanted or settings.regions):
        file = files / FILE.format(app=region.app)
        if file.is_file() and (wanted or region.id not in settings.regions_off):
            found.append(Deployment(region=region.id, app=APP.format(app=region.app), file=str(file)))
        elif wanted:
            name = printable(file.name)
            raise UsageError(
                f"region {quoted(region.id)} has no app: there is no {name} in {printable(str(files))}"
            )
    if not found:
        raise UsageError(f"no region that is switched on has an app in {printable(str(files))}")
    return found


def deploy(
    apps: Iterable[Deployment], tell: Callable[[Deployment], None], *, secret: str | None, download: bool
) -> None:
    """Deploy the apps one after another, since the first builds the image that the others share; `tell` of each.

    Raises:
        StartError: none could be deployed.
        ExceptionGroup: of StartErrors, one for each app that was not.
    """
    if secret:
        os.environ[SECRET_VARIABLE] = secret
    anyio.run(partial(_deploy, list(apps), tell, download=download))


def show(deployed: Deployment, *, stream: IO[str], as_json: bool) -> None:
    """Say what was deployed, or would be, in a line and one for each model's weights; or as a line of JSON."""
    from beacon_cli.display import paper

    if as_json:
        paper.put(json.dumps(msgspec.to_builtins(deployed)), stream, whole=False)
        return
    where = deployed.url or deployed.file
    weights = [f"    {model}: {what}" for model, what in (deployed.weights or {}).items()]
    paper.say([f"{deployed.region}: {deployed.app}  {where}", *weights], stream)


def folder() -> Path:
    """Where the files of the apps are: in the package as it is installed, or beside `src` in the repository.

    Raises:
        StartError: they are in neither.
    """
    package = Path(beacon_cli.__file__).parent
    places = (package / FOLDER, package.parents[1] / FOLDER)
    for place in places:
        if place.is_dir():
            return place
    raise StartError(
        f"the files of the apps are not there: expected in {printable(str(places[0]))}, "
        f"or in {printable(str(places[1]))}; install beacon again"
    )


def _known(name: str, known: RegionNames) -> Region:
    region = known.get(name)
    if region is None:
        raise UsageError(known.unknown(name))
    return region


async def _deploy(apps: list[Deployment], tell: Callable[[Deployment], None], *, download: bool) -> None:
    failed: list[StartError] = []
    async with wiring.deployer() as deployer:
        for each in apps:
            try:
                url = await deployer.deploy(each.file)
                weights = _said(await deployer.call(each.app, DOWNLOAD)) if download else None
                tell(msgspec.structs.replace(each, url=url, weights=weights))
            except StartError as error:
                failed.append(error)
    if failed:
        raise ExceptionGroup("not every app was deployed", failed)


def _said(returned: Any) -> dict[str, str]:
    """What the download gave, data from elsewhere: a commit or a reason for each model, and nothing else."""
    if not isinstance(returned, Mapping):
        return {}
    return {str(model): str(what) for model, what in returned.items()}
