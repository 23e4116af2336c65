"""Which instruments are in a percentage: sticky, nested cohorts, and the overrides that win over them.

Belongs here: the bucket of a key, cohorts, overrides, the realised share. Does not belong here: stages and when
they change (``stages.py``, ``controller.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import mmh3
import numpy as np
import numpy.typing as npt

from setbull_pipelines.settings import RolloutSettings

BUCKETS = 100


class Variant(StrEnum):
    """The two implementations of a computed table."""

    V1 = "v1"
    V2 = "v2"


class Override(StrEnum):
    """What a person laid down for one instrument."""

    FORCE_V1 = "force v1"
    FORCE_V2 = "force v2"
    FREEZE = "freeze"
    """Keeps the variant it had."""


def buckets(keys: Sequence[str], group: str) -> npt.NDArray[np.int64]:
    """The bucket, 1 to 100, of each key: murmur3-32 of ``group:key`` (seed 0, unsigned) modulo 100, plus 1.

    The rule of Unleash's ``flexibleRollout``. ``group`` is the salt: other groups draw other cohorts. An empty key
    raises ``ValueError``; Unleash has no bucket for it either.
    """
    if not all(keys):
        raise ValueError(f"group {group!r}: found an empty key, expected instrument keys")
    hashes = (mmh3.hash(f"{group}:{key}", 0, signed=False) for key in keys)
    return np.fromiter(hashes, np.int64, len(keys)) % BUCKETS + 1


def cohort(keys: Sequence[str], group: str, percentage: int) -> npt.NDArray[np.bool_]:
    """Whether each key is among the first ``percentage`` of 100 buckets.

    A larger percentage only adds keys. ``percentage`` outside 0 to 100 raises ``ValueError``.
    """
    if not 0 <= percentage <= BUCKETS:
        raise ValueError(f"percentage: found {percentage}, expected 0 to {BUCKETS}")
    return buckets(keys, group) <= percentage


def sample_turns(percentage: int) -> int:
    """Number of turns after which every key was in one :func:`rotating_sample`.

    ``percentage`` outside 1 to 100 raises ``ValueError``.
    """
    if not 1 <= percentage <= BUCKETS:
        raise ValueError(f"percentage: found {percentage}, expected 1 to {BUCKETS}")
    return -(-BUCKETS // percentage)


def rotating_sample(
    keys: Sequence[str], group: str, percentage: int, turn: int
) -> npt.NDArray[np.bool_]:
    """Whether each key is in the sample of about ``percentage`` of 100 that turn number ``turn`` draws.

    The samples of :func:`sample_turns` consecutive turns are disjoint and together hold every key.
    ``percentage`` outside 1 to 100 raises ``ValueError``.
    """
    turns = sample_turns(percentage)
    drawn: npt.NDArray[np.bool_] = (
        buckets(keys, f"{group}.sample") - 1
    ) // percentage == turn % turns
    return drawn


def assign(
    keys: Sequence[str],
    group: str,
    percentage: int,
    overrides: Mapping[str, Override] | None = None,
    previous: Mapping[str, Variant] | None = None,
) -> list[Variant]:
    """The variant of each key, in the order of ``keys``: its override, else V2 inside the cohort, else V1.

    A frozen key keeps its variant of ``previous``; one that had none gets V1.
    """
    overrides, previous = overrides or {}, previous or {}
    inside = cohort(keys, group, percentage)
    return [
        _overridden(overrides[key], previous.get(key, Variant.V1))
        if key in overrides
        else Variant.V2
        if on_v2
        else Variant.V1
        for key, on_v2 in zip(keys, inside.tolist(), strict=True)
    ]


def _overridden(override: Override, previous: Variant) -> Variant:
    match override:
        case Override.FORCE_V1:
            return Variant.V1
        case Override.FORCE_V2:
            return Variant.V2
        case Override.FREEZE:
            return previous


def configured_overrides(settings: RolloutSettings) -> dict[str, Override]:
    """The overrides of the settings, by instrument key."""
    return (
        dict.fromkeys(settings.force_v1, Override.FORCE_V1)
        | dict.fromkeys(settings.force_v2, Override.FORCE_V2)
        | dict.fromkeys(settings.freeze, Override.FREEZE)
    )


def realised_share(variants: Sequence[Variant]) -> float | None:
    """Share of the instruments that is on V2, 0 to 1; None without instruments.

    It differs from the stage's percentage: 10 % of 50 instruments can be anything from 0 to 22 %.
    """
    return variants.count(Variant.V2) / len(variants) if variants else None
