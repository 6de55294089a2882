"""An answer, or a container that was woken, as a sample of how long things take; from a journal or a log. Pure."""

from __future__ import annotations

import msgspec

from beacon_cli.timings.claims import Claims


class Sample(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer: where, of which model, when it came, what it says of itself, and how long we waited for it.

    `woken`: no answer, but what a container said when it was started, or found, before it was asked anything.

    `at` is seconds since the epoch on our clock (or the log's), None if nobody says; `seen` is the length of the
    attempt as this machine saw it, in the provider's seconds, None where only a log told of it. `speed` is how
    many times faster than life the provider was played.
    """

    region: str
    model: str
    at: float | None
    claims: Claims
    seen: float | None = None
    run: str = ""
    speed: float = 1.0
    woken: bool = False

    @property
    def seconds(self) -> float | None:
        """How long the answer took inside its container, its cold start included; else as long as was seen."""
        claims = self.claims
        if claims.generation is None:
            return self.seen
        if claims.cold and claims.start is None:
            return self.seen if self.seen is not None else claims.generation
        return claims.generation + (claims.start or 0.0 if claims.cold else 0.0)

    @property
    def overhead(self) -> float | None:
        """What of the time that was seen the container does not account for: backlog, network, ourselves."""
        claims = self.claims
        if self.seen is None or claims.generation is None:
            return None
        inside = claims.generation + (claims.start or 0.0)
        return self.seen - inside if self.seen >= inside else None
