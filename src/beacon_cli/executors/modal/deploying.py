"""Apps brought to Modal: what `modal deploy FILE` does, for files that beacon knows where to find.

A file is run here, as that command would run it. Whoever deploys trusts it with the account.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import modal
import modal.exception as sdk
from modal.config import config

from beacon_cli.errors import StartError
from beacon_cli.executors.modal.border import line, start_error
from beacon_cli.executors.modal.bridge import theirs
from beacon_cli.executors.modal.reaching import reach

_PATIENCE = 30.0
"""Seconds that Modal has for the first answer."""


class Deployer:
    """Deploys apps with one client. What Modal says of its progress goes to stderr."""

    def __init__(self, client: modal.Client) -> None:
        self._client = client

    async def deploy(self, file: str) -> str:
        """Deploy the app of a file, which calls it `app`; see `ports.Deployer.deploy`."""
        app = _app_of(Path(file))
        try:
            with contextlib.redirect_stdout(sys.stderr), modal.enable_output():
                await theirs(app.deploy.aio(client=self._client))
            return str(await theirs(app.get_dashboard_url.aio()))
        except Exception as error:  # noqa: BLE001 - the SDK's own, a file that is gone, an image that does not build
            raise StartError(f"{app.name} was not deployed: {line(error)}") from None

    async def call(self, app: str, function: str) -> Any:
        """Call a function and wait for what it gives; see `ports.Deployer.call`."""
        try:
            found: Any = modal.Function.from_name(app, function, client=self._client)
            return await theirs(found.remote.aio())
        except Exception as error:  # noqa: BLE001 - whatever remote code raises
            raise StartError(f"{app}: {function} failed: {line(error)}") from None


@asynccontextmanager
async def deployer() -> AsyncIterator[Deployer]:
    """A deployer that is connected.

    Raises:
        StartError: there are no credentials, they are refused, or Modal does not answer.
    """
    url = str(config["server_url"])
    try:
        with anyio.fail_after(_PATIENCE):
            await reach(url)
            client = await theirs(modal.Client.from_env.aio())
            await theirs(client.hello.aio())
    except TimeoutError:
        raise StartError(f"{url} did not answer within {_PATIENCE:g} s: check the network connection") from None
    except sdk.Error as error:
        raise start_error(error, url) from None
    try:
        yield Deployer(client)
    finally:
        with anyio.CancelScope(shield=True):
            await theirs(client.close.aio())


def _app_of(file: Path) -> Any:
    """What a file calls `app`, with the file's folder on the path for the modules beside it.

    Raises:
        StartError: running the file fails, or it has no app.
    """
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise StartError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        if str(file.parent) not in sys.path:
            sys.path.insert(0, str(file.parent))  # for good: the SDK looks there again for what it ships
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - whatever the file does
        raise StartError(f"{file} cannot be run: {type(error).__name__}: {line(error)}") from None
    app = getattr(module, "app", None)
    if not isinstance(app, modal.App):
        raise StartError(f"{file} has no `app`")
    return app
