"""The hash that proves that a design was there before the first answer.

`beacon run` writes it into the journal, so this room needs nothing beyond msgspec and the vocabulary. Must not
know what came of the design.
"""

from __future__ import annotations

import hashlib

import msgspec

from beacon_cli.model import Analysis, Spec


def design_hash(spec: Spec) -> str:
    """SHA-256 of all that shapes the tests, in hex: the analysis, and what is asked of whom, where, how often.

    An amended job has another hash: what is added after answers were seen was not planned before.
    """
    shaping = (
        spec.analysis or Analysis(),
        spec.design,
        [region.id for region in spec.regions],
        [(model.id, model.regions) for model in spec.models],
        spec.questions,
        spec.contexts,
        spec.system_prompt,
        spec.repeats,
        spec.sampling,
    )
    return analysis_hash(shaping)


def analysis_hash(shaping: object) -> str:
    """SHA-256 of the canonical JSON of any of the vocabulary's records, in hex."""
    return hashlib.sha256(msgspec.json.encode(shaping, order="sorted")).hexdigest()
