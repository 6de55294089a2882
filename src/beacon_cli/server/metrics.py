"""The queue and the server as figures in Prometheus's text format (version 0.0.4). Pure; reads no clock.

Written by hand: it is one line of text for each figure, made anew from a snapshot at each request, while the
client library is built around registries that live as long as the process. A test reads it back with that library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from beacon_cli.tickets import RegionLine, Snapshot

TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type."""


class Family(msgspec.Struct, frozen=True):
    """Figures of one name. Each sample has its labels and its value."""

    name: str
    kind: str
    help: str
    samples: list[tuple[dict[str, str], float]]


def text(snapshot: Snapshot, regions: Iterable[str], jobs: Mapping[str, int], version: str) -> str:
    """All figures; `regions` (by id) are there whether anybody ever asked for them or not.

    `jobs` counts the server's jobs by stage.
    """
    names = list(dict.fromkeys([*regions, *snapshot.regions]))
    lines = [snapshot.regions.get(name, RegionLine(region=name)) for name in names]
    families = [*_of_regions(lines, snapshot), *_of_workspace(snapshot), *_of_server(jobs, version)]
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _of_regions(lines: list[RegionLine], snapshot: Snapshot) -> Iterator[Family]:
    def each(kind: str, name: str, said: str, figures: Iterable[float]) -> Family:
        samples = [({"region": line.region}, figure) for line, figure in zip(lines, figures, strict=True)]
        return Family(name, kind, said, samples)

    yield each("gauge", "beacon_queue_waiting", "Jobs that wait for their turn.", (len(x.waiting) for x in lines))
    yield each("gauge", "beacon_queue_active", "Jobs that have their turn.", (len(x.active) for x in lines))
    oldest = (max(0.0, snapshot.at - min((t.entered_at for t in x.waiting), default=snapshot.at)) for x in lines)
    yield each("gauge", "beacon_queue_longest_wait_seconds", "How long the oldest ticket has waited.", oldest)
    yield each("gauge", "beacon_queue_paused", "1 while no turn is granted.", (x.paused for x in lines))
    yield each("gauge", "beacon_gpus_in_use", "GPUs reserved or held by live containers.", (x.gpus for x in lines))
    idle = (sum(warm.gpus for warm in x.warm) for x in lines)
    yield each("gauge", "beacon_gpus_idle", "GPUs held by containers of which nobody has the turn.", idle)
    yield _outcomes(
        "beacon_queue_jobs_total",
        "Jobs' parts in a region that ended.",
        [(x.region, x.completed, x.failed) for x in lines],
    )
    yield _outcomes(
        "beacon_queue_executions_total",
        "Executions that ended.",
        [(x.region, x.succeeded_executions, x.failed_executions) for x in lines],
    )


def _outcomes(name: str, said: str, counts: Iterable[tuple[str, int, int]]) -> Family:
    samples = []
    for region, good, bad in counts:
        samples.append(({"region": region, "outcome": "succeeded"}, float(good)))
        samples.append(({"region": region, "outcome": "failed"}, float(bad)))
    return Family(name, "counter", said, samples)


def _of_workspace(snapshot: Snapshot) -> Iterator[Family]:
    limits = {"total": snapshot.caps.gpus_total, "region": snapshot.caps.gpus_per_region}
    yield Family(
        "beacon_gpus_limit",
        "gauge",
        "GPUs that may be in use, over all regions and in one.",
        [({"scope": scope}, limit) for scope, limit in limits.items()],
    )


def _of_server(jobs: Mapping[str, int], version: str) -> Iterator[Family]:
    counted = [({"stage": stage}, float(count)) for stage, count in jobs.items()]
    yield Family("beacon_server_jobs", "gauge", "Jobs that the server knows, by stage.", counted)
    yield Family("beacon_build_info", "gauge", "The version of beacon.", [({"version": version}, 1)])


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        shown = ",".join(f'{name}="{_escaped(label)}"' for name, label in labels.items())
        yield f"{family.name}{{{shown}}} {float(value)!r}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
