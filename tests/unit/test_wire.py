"""What a client sends to the emulator is data; whoever can reach its port can run nothing."""

from __future__ import annotations

import builtins
import pickle
from pathlib import Path
from typing import Any

import cbor2
import pytest
from grpclib.exceptions import GRPCError

from beacon_cli.emulator import wire


class Runs:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return builtins.open, (str(self._path), "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, protocol: int) -> None:
    """Arguments that would run code are refused as invalid, in every protocol of pickle, and have run nothing."""
    payload = pickle.dumps(((), {"prompt": Runs(tmp_path / "made")}), protocol=protocol)
    with pytest.raises(GRPCError):
        wire.decode_arguments(payload, "pickle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data_format", ["pickle", "cbor"])
def test_plain_arguments_are_read(data_format: str) -> None:
    """Texts, numbers, flags, lists and mappings arrive as they are."""
    sent = (["a"], {"prompt": "b\0", "temperature": 0.1, "seed": 7, "more": {"x": [True, None]}})
    payload = pickle.dumps(sent) if data_format == "pickle" else cbor2.dumps(sent)
    args, kwargs = wire.decode_arguments(payload, data_format)
    assert (list(args), dict(kwargs)) == sent
