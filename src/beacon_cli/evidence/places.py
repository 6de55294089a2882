"""Where an answer came from, by what the platform says of its region, held against where it was asked for.

A Modal container reports an AWS region (`us-east-2`), a GCP zone (`europe-west4-a`) or an OCI availability domain
(`PHX-AD-1`, `us-ashburn-1-AD-2`), while Modal is asked for by names of its own (`us-east`, `ap-northeast`). What
cannot be mapped is unverified, never guessed. Must not know what an answer says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from beacon_cli.evidence.answers import Place

_DIRECTIONS = "northeast|northwest|southeast|southwest|north|south|east|west|central"
_AWS = re.compile(rf"(us|eu|ap|ca|sa|me|af|il|mx)-({_DIRECTIONS})-\d+[a-z]?")
_GCP = re.compile(rf"(us|europe|asia|australia|northamerica|southamerica|me|africa)-({_DIRECTIONS})\d+(?:-[a-z])?")
_OCI = re.compile(r"(?:[a-z0-9]+:)?(?:[a-z]{2}-)?([a-z]+)(?:-\d+)?-ad-?\d+")
_OCI_REGION = re.compile(r"[a-z]{2}-([a-z]+)-\d+")
_ASKED = re.compile(rf"([a-z]{{2}})(?:-({_DIRECTIONS}))?")

_CONTINENTS = MappingProxyType(
    {"europe": "eu", "asia": "ap", "australia": "ap", "northamerica": "ca", "southamerica": "sa", "africa": "af"}
)
"""GCP's words for what AWS and Modal abbreviate."""
_CITIES = MappingProxyType(
    {
        "ashburn": ("us", "east"),
        "iad": ("us", "east"),
        "chicago": ("us", "central"),
        "ord": ("us", "central"),
        "phoenix": ("us", "west"),
        "phx": ("us", "west"),
        "sanjose": ("us", "west"),
        "sjc": ("us", "west"),
        "frankfurt": ("eu", "central"),
        "fra": ("eu", "central"),
        "amsterdam": ("eu", "west"),
        "ams": ("eu", "west"),
        "marseille": ("eu", "west"),
        "mrs": ("eu", "west"),
        "paris": ("eu", "west"),
        "cdg": ("eu", "west"),
        "stockholm": ("eu", "north"),
        "arn": ("eu", "north"),
        "milan": ("eu", "south"),
        "lin": ("eu", "south"),
        "madrid": ("eu", "south"),
        "mad": ("eu", "south"),
        "zurich": ("eu", "central"),
        "zrh": ("eu", "central"),
        "london": ("eu", "uk"),
        "lhr": ("eu", "uk"),
        "tokyo": ("ap", "northeast"),
        "nrt": ("ap", "northeast"),
        "osaka": ("ap", "northeast"),
        "kix": ("ap", "northeast"),
        "seoul": ("ap", "northeast"),
        "icn": ("ap", "northeast"),
        "singapore": ("ap", "southeast"),
        "sin": ("ap", "southeast"),
        "sydney": ("ap", "southeast"),
        "syd": ("ap", "southeast"),
        "melbourne": ("ap", "southeast"),
        "mel": ("ap", "southeast"),
        "mumbai": ("ap", "south"),
        "bom": ("ap", "south"),
        "hyderabad": ("ap", "south"),
        "hyd": ("ap", "south"),
        "toronto": ("ca", "southeast"),
        "yyz": ("ca", "southeast"),
        "montreal": ("ca", "southeast"),
        "yul": ("ca", "southeast"),
        "saopaulo": ("sa", "east"),
        "gru": ("sa", "east"),
    }
)
"""OCI's cities, and the keys that its availability domains have, as continent and direction."""
_SETTLED = frozenset({"us"})
"""Continents where Modal's names and the clouds' mean the same by east, west and central."""


class Spot(NamedTuple):
    """A continent by Modal's abbreviation, and a direction within it."""

    continent: str
    direction: str


def spot(reported: str) -> Spot | None:
    """Where a platform's name for a region, zone or availability domain lies; None if it is not known."""
    name = reported.strip().lower()
    if match := _AWS.fullmatch(name) or _GCP.fullmatch(name):
        continent = _CONTINENTS.get(match[1], match[1])
        british = name.startswith(("eu-west-2", "europe-west2"))
        return Spot(continent, "uk" if british else match[2])
    if match := _OCI.fullmatch(name) or _OCI_REGION.fullmatch(name):
        city = _CITIES.get(match[1])
        return Spot(*city) if city else None
    return None


def judge(reported: str | None, asked: Sequence[str]) -> Place:
    """Whether what the platform reported is one of the regions `asked` for, by Modal's names.

    Another continent is elsewhere, and another side of the United States. On other continents Modal's names and
    the clouds' do not mean quite the same, so that another direction there stays unverified.
    """
    seen = spot(reported) if reported else None
    wanted = [match for name in asked if (match := _ASKED.fullmatch(name.strip().lower()))]
    if seen is None or not wanted or len(wanted) < len(asked):
        return Place.UNVERIFIED
    here = [match[2] for match in wanted if match[1] == seen.continent]
    if not here:
        return Place.ELSEWHERE
    if None in here or seen.direction in here:
        return Place.CONFIRMED
    return Place.ELSEWHERE if seen.continent in _SETTLED else Place.UNVERIFIED
