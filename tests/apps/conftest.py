"""What the tests of the apps share: whether torch and transformers are here."""

from __future__ import annotations

import importlib
import os

import pytest

REQUIRED = "BEACON_APPS_REQUIRED"
"""Set where their absence is a failure: in CI, once the extra `apps` is installed."""


@pytest.fixture(scope="session")
def transformers() -> None:
    """Skip, or fail where they are required, without the libraries that the containers hold."""
    for name in ("torch", "transformers", "tokenizers"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            if os.environ.get(REQUIRED):
                raise
            pytest.skip(f"{error}; pip install -c requirements.lock -e '.[apps]'")
