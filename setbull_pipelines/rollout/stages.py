"""The components that switch separately and the stages they pass through.

Belongs here: components, the order of stages, what a stage serves and which variants it runs. Does not belong
here: when a stage changes (``controller.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from setbull_pipelines.rollout.bucketing import Override, Variant, assign


class Component(Enum):
    """What switches to V2 on its own; ``flag`` is its name in the system this project replaces.

    The flag is also the salt of the component's cohorts, so that the same few instruments are not first each time.
    """

    AGGREGATION = ("aggregation", "use_dataframe_aggregation")
    INDICATORS = ("indicators", "use_gonum_indicators")
    SEQUENCES = ("sequences", "use_sequence_analyzer_v2")

    def __init__(self, label: str, flag: str) -> None:
        self.label = label
        self.flag = flag

    @classmethod
    def named(cls, label: str) -> Component:
        """The component with this label; ``ValueError`` lists the labels."""
        for component in cls:
            if component.label == label:
                return component
        raise ValueError(f"component: found {label!r}, expected one of {[c.label for c in cls]}")


_V1, _V2 = frozenset({Variant.V1}), frozenset({Variant.V2})


class Stage(Enum):
    """A stage: its label, the percentage of instruments served from V2, the variants that it is judged by.

    In ``sampled`` V1 runs on a rotating sample only (``bucketing.rotating_sample``). V2 is computed in ``off`` too,
    as evidence for coming back.
    """

    OFF = ("off", 0, _V1)
    SHADOW = ("shadow", 0, _V1 | _V2)
    TEN = ("10", 10, _V1 | _V2)
    FIFTY = ("50", 50, _V1 | _V2)
    FULL = ("100", 100, _V1 | _V2)
    SAMPLED = ("sampled", 100, _V1 | _V2)
    RETIRED = ("retired", 100, _V2)

    def __init__(self, label: str, percentage: int, runs: frozenset[Variant]) -> None:
        self.label = label
        self.percentage = percentage
        self.runs = runs

    @classmethod
    def named(cls, label: str) -> Stage:
        """The stage with this label; ``ValueError`` lists the labels."""
        for stage in cls:
            if stage.label == label:
                return stage
        raise ValueError(f"stage: found {label!r}, expected one of {[s.label for s in cls]}")

    @property
    def position(self) -> int:
        """Place in the order, 0 for off."""
        return list(Stage).index(self)

    @property
    def following(self) -> Stage | None:
        """The next stage upward; None after the last."""
        stages = list(Stage)
        return stages[self.position + 1] if self is not stages[-1] else None

    @property
    def compares(self) -> bool:
        """Whether both variants run, so that cells can be compared."""
        return len(self.runs) == 2

    @property
    def runs_both_in_full(self) -> bool:
        """Whether both variants run on all instruments, so that their times can be compared."""
        return self.compares and self.runs_v1_in_full

    @property
    def runs_v1_in_full(self) -> bool:
        """Whether V1 is computed for all instruments."""
        return self not in (Stage.SAMPLED, Stage.RETIRED)


def served_variants(
    keys: Sequence[str],
    component: Component,
    stage: Stage,
    overrides: Mapping[str, Override] | None = None,
    previous: Mapping[str, Variant] | None = None,
    kill: bool = False,
) -> list[Variant]:
    """The variant that each instrument is served from, in the order of ``keys``.

    The kill switch gives V1 to all. Overrides win wherever both variants run in full; else the one that does
    serves all, since the other was not computed.
    """
    stage = Stage.OFF if kill else stage
    if not stage.runs_both_in_full:
        return [Variant.V1 if stage.runs_v1_in_full else Variant.V2] * len(keys)
    return assign(keys, component.flag, stage.percentage, overrides, previous)
