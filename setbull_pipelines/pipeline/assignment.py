"""Which variant serves which instrument of a table, and the rows that this gives.

Belongs here: the assignment, picking rows by it. Does not belong here: whether V2 may be served on a day, publication
(``serving``), bucketing (``rollout/``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from setbull_pipelines.pipeline.versions import combined
from setbull_pipelines.rollout.bucketing import Override, Variant
from setbull_pipelines.rollout.stages import Component, Stage, served_variants


@dataclass(frozen=True)
class Assignment:
    """Which variant serves which instrument of one table. A function of the key, never of the day."""

    component: Component
    stage: Stage
    overrides: Mapping[str, Override]
    previous: Mapping[str, Variant]
    """The variant that frozen instruments had."""

    def variants(self, keys: Sequence[str]) -> list[Variant]:
        """The variant of each instrument, in the order of ``keys``."""
        return served_variants(keys, self.component, self.stage, self.overrides, self.previous)

    @property
    def hash(self) -> str:
        """Equal for assignments that give every instrument the same variant."""
        overridden = sorted(self.overrides) if self.stage.runs_both_in_full else []
        return combined(
            [
                self.component.flag,
                str(self.stage.percentage),
                *map("{}={}".format, overridden, self.variants(overridden)),
            ]
        )


def pick(
    frames: Mapping[Variant, pd.DataFrame], assignment: Assignment
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of V2 for instruments that are assigned to it and have some there, of V1 for all others.

    Also the instruments that fell back: assigned to V2, and only V1 has rows of them.
    """
    keys = {variant: frame["instrument_key"].unique().tolist() for variant, frame in frames.items()}
    in_v2 = set(keys[Variant.V2])
    both = list(dict.fromkeys([*keys[Variant.V1], *keys[Variant.V2]]))
    on_v2 = [
        key
        for key, variant in zip(both, assignment.variants(both), strict=True)
        if variant is Variant.V2
    ]
    chosen = {Variant.V2: in_v2.intersection(on_v2)}
    chosen[Variant.V1] = set(both) - chosen[Variant.V2]
    rows = [
        _of(frames[variant], keys[variant], chosen[variant]).assign(variant=variant.value)
        for variant in Variant
    ]
    return pd.concat(rows, ignore_index=True), sorted(key for key in on_v2 if key not in in_v2)


def _of(rows: pd.DataFrame, present: Sequence[str], keys: Collection[str]) -> pd.DataFrame:
    """The rows of some of the instruments that are present; mostly they are all of them, or none."""
    found = [key for key in present if key in keys]
    if len(found) == len(present):
        return rows
    return rows[rows["instrument_key"].isin(found)]
