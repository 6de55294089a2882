"""Rates of GPUs: names as devices say them, tables as people write them, and what a provider prints."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli import rates, settings, wiring
from beacon_cli.rates import Rates

SHIPPED = rates.read(rates.check(tomllib.loads((Path(rates.__file__).parent / "rates.toml").read_text())))


@pytest.mark.parametrize(
    ("said", "gpu"),
    [
        ("T4", "T4"),
        ("Tesla T4", "T4"),
        ("NVIDIA A10G", "A10"),
        ("a10g", "A10"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("A100-40GB", "A100-40GB"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA L40S", "L40S"),
        ("A100", None),
        ("NVIDIA GeForce RTX 4090", None),
        ("T400", None),
        ("", None),
        (None, None),
    ],
)
def test_devices_are_known_by_their_names(said: str | None, gpu: str | None) -> None:
    """A device's own name leads to the price of its kind; one that may be two kinds has none."""
    assert rates.known_gpu(said, SHIPPED.gpu) == gpu


def test_the_shipped_table_prices_every_default_region() -> None:
    """Each default region has a multiplier, and the table says when and where it was read."""
    assert set(SHIPPED.region) == {region.id for region in settings.REGIONS}
    assert SHIPPED.dated
    assert SHIPPED.source.startswith("https://")
    assert SHIPPED.per_second("T4", "eu") == pytest.approx(0.000164 * 1.75)


def test_unknown_is_none() -> None:
    """Neither a GPU without a price nor a region without a multiplier costs nothing."""
    assert SHIPPED.per_second("X9", "eu") is None
    assert SHIPPED.per_second("T4", "mars") is None


def test_the_configuration_goes_first(tmp_path: Path) -> None:
    """`[rates]` replaces single values; the date is the older one while any shipped value is left."""
    (tmp_path / "beacon.toml").write_text(
        '[rates]\ndated = 2026-08-01\nsource = "contract"\n[rates.gpu]\nT4 = 0.5\n[rates.region]\nmars = 3\n'
    )
    found = wiring.rates(settings.load(tmp_path, {"HOME": str(tmp_path)}))
    assert found.per_second("T4", "mars") == 1.5
    assert found.per_second("L4", "us") == SHIPPED.per_second("L4", "us")
    assert found.dated == "2026-07-01"
    assert found.source.startswith("contract; ")
    whole = rates.merged(SHIPPED, {"dated": "2026-08-01", "gpu": SHIPPED.gpu})
    assert whole.dated == "2026-08-01"


@pytest.mark.parametrize(
    "table",
    [
        3,
        {"gpus": {}},
        {"gpu": 3},
        {"gpu": {"T4": 0}},
        {"gpu": {"T4": -1.0}},
        {"gpu": {"T4": float("nan")}},
        {"gpu": {"T4": True}},
        {"gpu": {"T4": 0.59, "L4": 80.0}},
        {"region": {"eu": "1.75"}},
        {"dated": "yesterday"},
        {"source": ["a"]},
    ],
)
def test_a_wrong_table_is_refused(table: Any) -> None:
    """A price that cannot be one, a misspelt key, a date that is none: each is said to be wrong."""
    with pytest.raises(ValueError, match=r"must be|unknown key"):
        rates.check(table)


def test_what_modal_prints_is_read() -> None:
    """Names with one GPU and their unit give its price; everything else is passed over."""
    said = {
        "gpu_t4_hour": "0.59",
        "gpu_h100_per_second": 0.0011,
        "gpu_l4": "0.8",
        "gpu_l40s_hour": "NaN",
        "gpu_a10g_hour": -3,
        "cpu_core_hour": "0.1",
        "memory_gib_hour": {},
    }
    found = rates.of_billing(json.dumps(said), SHIPPED.gpu)
    assert found == {"T4": pytest.approx(0.59 / 3600), "H100": 0.0011}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=5,
)


@given(
    said=st.dictionaries(st.sampled_from(["gpu_t4_hour", "T4 sec", "h100 hour sec", "x"]) | st.text(), json_values)
)
def test_hostile_prices_are_passed_over(said: dict[str, Any]) -> None:
    """Whatever is printed, a price that comes of it is one that can be."""
    for name, value in rates.of_billing(json.dumps(said), SHIPPED.gpu).items():
        assert name in SHIPPED.gpu
        assert 0 < value <= 1


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    """Text that is no JSON object is no list of prices."""
    with pytest.raises(ValueError, match=r".+"):
        rates.of_billing(text, SHIPPED.gpu)


def test_no_rates_price_nothing() -> None:
    """Without any table every price is unknown."""
    assert Rates().per_second("T4", "eu") is None
