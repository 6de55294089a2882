from __future__ import annotations

import sys

import pytest

from beacon_cli.errors import StartError
from beacon_cli.operations.exporting import _MODULES, Format, _exporter


def test_every_format_has_its_module() -> None:
    """Each name that `--format` takes leads to an exporter of its own."""
    assert len({_exporter(form) for form in Format}) == len(_MODULES) == len(Format)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow, Parquet is refused with the command that installs it; no other format is."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "beacon_cli.exports.parquet", raising=False)
    with pytest.raises(StartError, match=r"parquet needs pyarrow: pip install 'beacon-cli\[export\]'"):
        _exporter("parquet")
    for form in set(Format) - {Format.PARQUET}:
        assert callable(_exporter(form))
