"""What a finished run says of its checks in the list of runs: as tags, and as a failure where V2 differs.

Belongs here: the tags of a run's checks, and the error that makes a run with a divergence red. Does not belong here:
judging (``quality/``), alerts (``noticing``).

Dagster's list of runs, its timeline and the page of a job show whether a run failed and its tags, and nothing of its
checks: without these a day on which V2 differs would be as green as all others.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG

from setbull_pipelines.tables.reconciliation import DIVERGED
from setbull_pipelines.warehouse.looking import shortened

CHECKS_TAG = "setbull/checks"
"""How many checks of the run passed, warned and failed."""
FAILED_CHECKS_TAG = "setbull/failed_checks"
DIVERGED_TAG = "setbull/diverged"
"""The tables in which V2 differs from V1 on a day of the run."""
STATE_TAG = ".dagster/setbull_state"
"""On runs of ``setbull run``: the state that they left behind (``cli/unchanged.py``). Dagster hides tags of its prefix:
people can do nothing with a hash."""
KILLED = {".dagster/setbull_killed": "true"}
"""On runs that were ended because their process was gone: what comes last in them can be missing."""
_OF_ONE_RUN = (CHECKS_TAG, FAILED_CHECKS_TAG, DIVERGED_TAG, STATE_TAG, *KILLED)
_NONE = "none"
NO_RETRY = {MAX_RETRIES_TAG: "0"}
"""Where Dagster starts failed runs again (several machines do), V2 would differ again, and twice more be told."""


def without_inherited(tags: Mapping[str, str]) -> dict[str, str]:
    """What a run must say at its start in the place of what it took along from the run that it repeats.

    Dagster copies all tags to a run that is executed again from the UI, and has no way to take one away: a run whose
    V2 was mended would go on to say that it differs, and a failed one that it left a good state behind.
    """
    return {tag: _NONE for tag in _OF_ONE_RUN if tag in tags}


def tells_divergence(tags: Mapping[str, str]) -> bool:
    """Whether a finished run says that V2 differs."""
    return tags.get(DIVERGED_TAG, _NONE) != _NONE


class V2Differs(Exception):
    """The run did all its work, and V2 differs from V1; the message says where."""


class ChecksOfRun:
    """Counts the evaluations of a run as they come."""

    def __init__(self) -> None:
        self._by_check: dict[dg.AssetCheckKey, list[dg.AssetCheckEvaluation]] = {}
        self._has_failed_steps = False

    def note(self, event: dg.DagsterEvent) -> None:
        """Take in one event of the run."""
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            self._by_check.setdefault(evaluation.asset_check_key, []).append(evaluation)
        self._has_failed_steps |= event.is_step_failure

    @property
    def diverged(self) -> list[str]:
        """The tables that differ, in the order of their comparison."""
        return [
            key.asset_key.path[-1]
            for key, evaluations in self._by_check.items()
            if any(_is_diverged(evaluation) for evaluation in evaluations)
        ]

    def tags(self) -> dict[str, str]:
        """What the list of runs shows; nothing of a run without checks."""
        if not self._by_check:
            return {}
        worst = {key: max(map(_rank, found)) for key, found in self._by_check.items()}
        counts = [sum(rank == level for rank in worst.values()) for level in (0, 1, 2)]
        said = "{} passed, {} warn, {} failed"
        tags = {CHECKS_TAG: said.format(*counts)}
        failed = [
            f"{key.asset_key.to_user_string()} {key.name}"
            for key, rank in worst.items()
            if rank == 2
        ]
        if failed:
            tags[FAILED_CHECKS_TAG] = shortened(failed)
        if self.diverged:
            tags[DIVERGED_TAG] = shortened(self.diverged)
        return tags

    @property
    def difference(self) -> V2Differs | None:
        """The reason to end the run as failed; None where V2 agrees, and where a failed step is the reason already."""
        if not self.diverged or self._has_failed_steps:
            return None
        return V2Differs(
            f"V2 differs from V1 in {shortened(self.diverged)}; all assets of the run were materialized: see the "
            "failed checks of the reconciliation"
        )


def _is_diverged(evaluation: dg.AssetCheckEvaluation) -> bool:
    state = evaluation.metadata.get("state")
    return not evaluation.passed and state is not None and state.value == DIVERGED


def _rank(evaluation: dg.AssetCheckEvaluation) -> int:
    if evaluation.passed:
        return 0
    return 2 if evaluation.severity is dg.AssetCheckSeverity.ERROR else 1
