"""The decision: what one session's evidence does to the stage of a component.

Belongs here: state, verdicts, and the pure functions that decide. Does not belong here: what evidence is
(``evidence.py``), gathering it, keeping the log (``log.py``), a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from setbull_pipelines.market.calendar import NSE, TradingCalendar
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.evidence import Evidence
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings


class Verdict(StrEnum):
    """What an evaluation or a person's action did."""

    COUNTED = "counted"
    """A session without a breach; the stage stays."""
    ADVANCED = "advanced"
    HELD = "held"
    """Nothing was judged: evidence missing, thin, or of another time."""
    SOFT_BREACH = "soft breach"
    """The session breached a soft limit; the stage stays."""
    ROLLED_BACK = "rolled back"
    REARMED = "re-armed"
    KILLED = "killed"
    FORCED = "forced"
    FROZEN = "frozen"
    RELEASED = "released"


@dataclass(frozen=True)
class State:
    """Where a component stands: the fold of its log. The first state is off, without a latch."""

    component: Component
    stage: Stage = Stage.OFF
    latched: bool = False
    """Rolled back or killed: stays off until a new code version or a named person."""
    frozen: bool = False
    """A person stopped advancing; rolling back still works."""
    condemned: frozenset[str] = frozenset()
    """Code versions that were rolled back; evidence of one of them rolls back again."""
    code_version: str | None = None
    settings_hash: str | None = None
    """Code and settings of the last judged session."""
    breaches: tuple[bool, ...] = ()
    """Whether each session judged in this stage with this code and settings had a soft breach, oldest first."""
    last_judged: date | None = None
    memory_share: float | None = None
    """Share of the memory allowance that the last judged session took at its peak."""

    @property
    def healthy_sessions(self) -> int:
        """Sessions without a breach since the last one with."""
        return _healthy(self.breaches)

    def breaches_with(self, code_version: str, settings_hash: str) -> tuple[bool, ...]:
        """``breaches`` as far as they say something about this code and these settings."""
        same = (code_version, settings_hash) == (self.code_version, self.settings_hash)
        return self.breaches if same else ()


@dataclass(frozen=True)
class Decision:
    """One step: from, to, and why in one sentence. ``session`` and ``evidence`` are None for actions of a person."""

    component: Component
    verdict: Verdict
    from_stage: Stage
    to_stage: Stage
    reason: str
    code_version: str
    settings_hash: str
    session: date | None = None
    evidence: Evidence | None = None


def decide(
    state: State,
    evidence: Evidence,
    settings: RolloutSettings,
    *,
    kill: bool = False,
    calendar: TradingCalendar = NSE,
) -> Decision:
    """What ``evidence`` does to ``state``. Pure: the same arguments give the same decision.

    Order: the kill switch (``kill`` or ``settings.kill``), hard breaches, the latch, whether the session can be
    judged at all, soft breaches, advancing. ``ValueError`` when evidence and state are of different components.
    """
    if evidence.component is not state.component:
        raise ValueError(
            f"evidence of {evidence.component.label} for the state of {state.component.label}"
        )

    def decision(verdict: Verdict, to: Stage, reason: str) -> Decision:
        return Decision(
            state.component,
            verdict,
            state.stage,
            to,
            reason,
            evidence.code_version,
            evidence.settings_hash,
            evidence.session,
            evidence,
        )

    if kill or settings.kill:
        verdict = Verdict.HELD if state.latched else Verdict.KILLED
        return decision(verdict, Stage.OFF, "the kill switch is on")

    condemned = evidence.code_version in state.condemned
    if hard := list(_hard_breaches(evidence, settings)):
        reason = "; ".join(hard)
        if evidence.likely_cause:
            reason = f"{reason}; likely cause: {evidence.likely_cause}"
        if state.latched and condemned:
            return decision(Verdict.HELD, Stage.OFF, f"still latched: {reason}")
        return decision(Verdict.ROLLED_BACK, Stage.OFF, reason)
    if condemned and not state.latched:
        reason = f"code version {evidence.code_version} was rolled back before"
        return decision(Verdict.ROLLED_BACK, Stage.OFF, reason)
    if condemned:
        reason = "latched: needs a code version that was not rolled back, or a named person"
        return decision(Verdict.HELD, Stage.OFF, reason)

    if obstacle := _obstacle(state, evidence, settings, calendar):
        return decision(Verdict.HELD, state.stage, obstacle)
    if state.latched:
        if state.frozen:
            return decision(Verdict.HELD, state.stage, "latched, and frozen by a person")
        reason = f"new code version {evidence.code_version} releases the latch"
        return decision(Verdict.REARMED, Stage.SHADOW, reason)

    earlier = state.breaches_with(evidence.code_version, evidence.settings_hash)
    before = state.memory_share if earlier else None
    if soft := list(soft_breaches(state.stage, evidence, settings, before)):
        window = [*earlier, True][-settings.soft_breach_sessions :]
        count = f"{sum(window)} of the last {len(window)} judged sessions breached a soft limit"
        reason = f"{'; '.join(soft)} ({count}, {settings.soft_breaches} roll back)"
        if sum(window) >= settings.soft_breaches:
            return decision(Verdict.ROLLED_BACK, Stage.OFF, reason)
        return decision(Verdict.SOFT_BREACH, state.stage, reason)

    healthy = _healthy((*earlier, False))
    reason = f"{healthy} of {settings.sessions_per_stage} sessions without a breach"
    following = state.stage.following
    highest = Stage.named(settings.highest_automatic_stage)
    if following is None or state.stage.position >= highest.position:
        return decision(Verdict.COUNTED, state.stage, f"{reason}; the highest automatic stage")
    if state.frozen:
        return decision(Verdict.COUNTED, state.stage, f"{reason}; frozen by a person")
    if healthy < settings.sessions_per_stage:
        return decision(Verdict.COUNTED, state.stage, reason)
    return decision(Verdict.ADVANCED, following, reason)


def act(
    state: State,
    verdict: Verdict,
    reason: str,
    code_version: str,
    settings_hash: str,
    to_stage: Stage | None = None,
) -> Decision:
    """A person's action: FORCED (to ``to_stage``), FROZEN, RELEASED, REARMED (to shadow) or KILLED (to off).

    Whether it is legal in this state is judged where it enters the log; the person's name is the row's actor.
    """
    match verdict:
        case Verdict.FORCED if to_stage is not None:
            target = to_stage
        case Verdict.REARMED:
            target = Stage.SHADOW
        case Verdict.KILLED:
            target = Stage.OFF
        case Verdict.FROZEN | Verdict.RELEASED:
            target = state.stage
        case _:
            raise ValueError(f"{verdict} to {to_stage} is not an action of a person")
    return Decision(
        state.component, verdict, state.stage, target, reason, code_version, settings_hash
    )


def _healthy(breaches: tuple[bool, ...]) -> int:
    return next((n for n, breach in enumerate(reversed(breaches)) if breach), len(breaches))


def _hard_breaches(evidence: Evidence, settings: RolloutSettings) -> Iterator[str]:
    """Facts, and a very high error rate; of very little data a rate says nothing: 1 of 2 attempts is 50 %."""
    yield from evidence.facts_against
    measured = None not in (evidence.instruments, evidence.rows)
    enough = measured and not any(_thin(evidence, settings))
    rate = _telling_error_rate(evidence, settings)
    if enough and rate is not None and rate > settings.rollback_error_rate:
        yield (
            f"{evidence.v2_exceptions:,} exceptions in V2, error rate {rate:.1%} above "
            f"{settings.rollback_error_rate:.1%}"
        )


def _telling_error_rate(evidence: Evidence, settings: RolloutSettings) -> float | None:
    """The error rate where enough instruments failed for it to say something; None otherwise."""
    if evidence.v2_exceptions is None or evidence.v2_exceptions < settings.minimum_exceptions:
        return None
    return evidence.error_rate


def _obstacle(
    state: State, evidence: Evidence, settings: RolloutSettings, calendar: TradingCalendar
) -> str | None:
    """Why the session cannot be judged; None when it can."""
    session = evidence.session
    if not calendar.is_trading_day(session):
        return f"{session} is not a trading day ({calendar.why_closed(session)})"
    if state.last_judged is not None and session <= state.last_judged:
        return f"session {session} is not after {state.last_judged}, the last one judged"
    if evidence.waits_for:
        return (
            f"waits for session {evidence.waits_for}, which comes before it and was not judged yet"
        )
    if evidence.stage is not state.stage:
        return f"evidence of stage {evidence.stage.label}, but the stage is {state.stage.label}"
    if evidence.not_compared:
        return f"not comparable: {evidence.not_compared}"
    if evidence.inputs_in_doubt:
        return f"inputs in doubt: {evidence.inputs_in_doubt}"
    missing = [name for name in _required(state, evidence) if getattr(evidence, name) is None]
    if missing:
        return f"not measured: {', '.join(missing)}"
    return "; ".join(_thin(evidence, settings)) or None


def _required(state: State, evidence: Evidence) -> Iterator[str]:
    """The figures without which a session of this stage cannot be judged."""
    yield from ("instruments", "rows", "schema_failures")
    if state.stage.percentage:
        yield "cohort"
    if state.stage.compares:
        yield from ("cells_expected", "cells_compared", "cells_unequal", "decision_differences")
    if Variant.V2 not in state.stage.runs:
        return
    yield from ("v2_exceptions", "error_rate", "seconds_v2", "input_rows")
    yield from ("memory_share", "cache_lookups")
    if evidence.seconds_v2 != 0:
        yield "worker_share"
    if evidence.cache_lookups:
        yield "cache_hit_rate"
    if state.stage.runs_both_in_full:
        yield "seconds_v1"
    if state.component is Component.SEQUENCES:
        yield "sequence_failure_share"


def _thin(evidence: Evidence, settings: RolloutSettings) -> Iterator[str]:
    """Too little data, of what was measured under the stage of the evidence."""
    for name, least in (
        ("instruments", settings.minimum_instruments),
        ("rows", settings.minimum_rows),
        ("cohort", settings.minimum_cohort if evidence.stage.percentage else 0),
    ):
        found = getattr(evidence, name)
        if found is not None and found < least:
            yield f"too little data: {found:,} {name}, at least {least:,} needed"
    if evidence.stage.compares and None not in (evidence.cells_compared, evidence.cells_expected):
        compared, expected = evidence.cells_compared, evidence.cells_expected
        if compared != expected or not compared:
            yield f"{compared:,} cells compared, {expected:,} expected"


def soft_breaches(
    stage: Stage,
    evidence: Evidence,
    settings: RolloutSettings,
    memory_share_before: float | None = None,
) -> Iterator[str]:
    """Limits passed by a session whose required figures are all there, one sentence each.

    ``memory_share_before`` is that of the last judged session with the same code and settings, if there is one.
    """
    if Variant.V2 not in stage.runs:
        return
    aggregation = evidence.component is Component.AGGREGATION
    limits = [
        (
            "aggregation time" if aggregation else "calculation time",
            evidence.measured("seconds_v2"),
            _seconds_allowed(evidence, settings),
            "{:.1f} s",
        ),
        ("memory", evidence.measured("memory_share"), settings.maximum_memory_share, "{:.1%}"),
    ]
    if evidence.measured("seconds_v2"):
        share = evidence.measured("worker_share")
        limits.append(("worker use", share, settings.maximum_worker_share, "{:.1%}"))
    if evidence.component is Component.SEQUENCES:
        limits.append(
            (
                "sequence failures",
                evidence.measured("sequence_failure_share"),
                settings.maximum_sequence_failure_share,
                "{:.1%}",
            )
        )
    if (rate := _telling_error_rate(evidence, settings)) is not None:
        limits.append(("error rate", rate, settings.maximum_error_rate, "{:.1%}"))
    for words, found, limit, form in limits:
        if found > limit:
            yield f"{words} {form.format(found)} above {form.format(limit)}"
    least = settings.minimum_cache_hit_rate
    lookups = evidence.measured("cache_lookups")
    if lookups and lookups >= settings.minimum_cache_lookups:
        hit_rate = evidence.measured("cache_hit_rate")
        if hit_rate < least:
            yield f"cache hit rate {hit_rate:.1%} below {least:.1%}"
    before, memory_share = memory_share_before, evidence.measured("memory_share")
    most = max(before or 0.0, settings.minimum_memory_share_compared)
    most *= 1 + settings.maximum_memory_growth
    if before is not None and memory_share > most:
        yield (
            f"memory grew from {before:.1%} to {memory_share:.1%} of the allowance, by more than "
            f"{settings.maximum_memory_growth:.0%}"
        )
    slowest = 1 + settings.maximum_slowdown
    # Fixed costs, such as loading compiled code, are most of a short time.
    seconds_v1 = max(evidence.seconds_v1 or 0.0, settings.minimum_seconds_compared)
    seconds_v2 = evidence.measured("seconds_v2")
    if stage.runs_both_in_full and seconds_v2 > seconds_v1 * slowest:
        yield (
            f"V2 took {seconds_v2:.1f} s of processor time, more than {settings.maximum_slowdown:.0%} above "
            f"V1's {evidence.seconds_v1:.1f} s"
        )


def _seconds_allowed(evidence: Evidence, settings: RolloutSettings) -> float:
    """Processor time that V2 may take for the session: of little data a fixed one, of more a time per row read."""
    least, per_million = (
        (settings.maximum_aggregation_seconds, settings.aggregation_seconds_per_million_rows)
        if evidence.component is Component.AGGREGATION
        else (settings.maximum_calculation_seconds, settings.calculation_seconds_per_million_rows)
    )
    return max(least, per_million * evidence.measured("input_rows") / 1e6)
