"""The evidence log: one row per evaluation and per action of a person, and the state as the fold over them.

Belongs here: the row, which rows may follow which, the fold, the flat record of a row. Does not belong here:
deciding (``controller.py``), storing the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.market.session_table import TIMEZONE
from setbull_pipelines.rollout.controller import Decision, State, Verdict
from setbull_pipelines.rollout.evidence import Evidence
from setbull_pipelines.rollout.stages import Component, Stage

CONTROLLER = "controller"
"""The actor of automatic decisions; every other actor is a person's name."""

_ONLY_CONTROLLER = {
    Verdict.COUNTED,
    Verdict.ADVANCED,
    Verdict.HELD,
    Verdict.SOFT_BREACH,
    Verdict.ROLLED_BACK,
}
_ONLY_PERSONS = {Verdict.FORCED, Verdict.FROZEN, Verdict.RELEASED}
_JUDGED = {
    Verdict.COUNTED,
    Verdict.ADVANCED,
    Verdict.SOFT_BREACH,
    Verdict.ROLLED_BACK,
    Verdict.REARMED,
}
_MOVES = {
    Verdict.ADVANCED,
    Verdict.ROLLED_BACK,
    Verdict.REARMED,
    Verdict.KILLED,
    Verdict.FORCED,
}


class IllegalLog(SetbullError, ValueError):
    """A row that cannot follow the rows before it; the message names the row and what is wrong."""


@dataclass(frozen=True)
class LogRow:
    """A decision with its place in the log (1, 2, 3 ... over all components), its moment and its actor."""

    number: int
    when: datetime
    actor: str
    decision: Decision


def append(
    rows: tuple[LogRow, ...], decision: Decision, when: datetime, actor: str = CONTROLLER
) -> tuple[LogRow, ...]:
    """``rows`` and one more; :class:`IllegalLog` when the decision cannot follow them. Nothing is changed in place."""
    longer = (*rows, LogRow(len(rows) + 1, when, actor, decision))
    state_at(longer, decision.component)
    return longer


def state_at(rows: Iterable[LogRow], component: Component, day: date | None = None) -> State:
    """The state of a component at the end of ``day`` (Asia/Kolkata), or after all rows.

    Rows are in the order of the log. :class:`IllegalLog` when a row is missing, out of order, or does not follow
    from the ones before it; rows after ``day`` are not looked at.
    """
    state = State(component)
    last_number, last_when = 0, None
    for row in rows:
        _require(row, row.when.utcoffset() is not None, "its moment has no time zone")
        if day is not None and row.when.astimezone(ZoneInfo(TIMEZONE)).date() > day:
            break
        _require(row, row.number == last_number + 1, f"it follows row {last_number}")
        _require(row, last_when is None or row.when >= last_when, f"it is earlier than {last_when}")
        last_number, last_when = row.number, row.when
        if row.decision.component is component:
            _check(state, row)
            state = _after(state, row.decision)
    return state


def stage_served(rows: Iterable[LogRow], component: Component) -> Stage:
    """The stage that readers are served under, after all ``rows``.

    It is the stage of the log, but an advance by the controller counts only from the next session on: the session
    that earned it was judged under the stage before. Raises as :func:`state_at`.
    """
    rows = tuple(rows)
    stage = state_at(rows, component).stage
    own = [row.decision for row in rows if row.decision.component is component]
    moves = [place for place, decision in enumerate(own) if decision.verdict in _MOVES]
    if not moves or own[moves[-1]].verdict is not Verdict.ADVANCED:
        return stage
    advance, after = own[moves[-1]], own[moves[-1] + 1 :]
    since = advance.session or date.max  # an advance is of a session
    counts = any(later.session is not None and later.session > since for later in after)
    return stage if counts else advance.from_stage


def sessions_waiting(rows: Iterable[LogRow], component: Component) -> set[date]:
    """The sessions of the component that were held only because an earlier one was still to come, and wait since."""
    last: dict[date, Decision] = {}
    for row in rows:
        if row.decision.component is component and row.decision.session is not None:
            last[row.decision.session] = row.decision
    return {
        session
        for session, decision in last.items()
        if decision.verdict is Verdict.HELD and decision.evidence and decision.evidence.waits_for
    }


def sessions_judged(rows: Iterable[LogRow], component: Component) -> set[date]:
    """The sessions on which the controller looked at the component, whatever it decided."""
    return {
        row.decision.session
        for row in rows
        if row.decision.component is component and row.decision.session is not None
    }


def _require(row: LogRow, condition: bool, what: str) -> None:
    if not condition:
        raise IllegalLog(f"rollout log, row {row.number} ({row.decision.verdict}): {what}")


def _check(state: State, row: LogRow) -> None:
    """What must hold of any row, whatever the settings were when it was written."""
    decision, verdict, evidence = row.decision, row.decision.verdict, row.decision.evidence
    by_controller = row.actor == CONTROLLER
    start, end = decision.from_stage, decision.to_stage

    def require(condition: bool, what: str) -> None:
        _require(row, condition, what)

    require(bool(row.actor.strip()), "no actor")
    require(bool(decision.reason.strip()), "no reason")
    require(
        start is state.stage,
        f"it starts from {start.label}, but the stage was {state.stage.label}",
    )
    require(by_controller or verdict not in _ONLY_CONTROLLER, f"{row.actor} is not the controller")
    require(not by_controller or verdict not in _ONLY_PERSONS, "it needs a named person")
    if evidence is None:
        require(not by_controller, "the controller decided without evidence")
    elif by_controller:
        require(
            (evidence.component, evidence.session, evidence.code_version, evidence.settings_hash)
            == (
                decision.component,
                decision.session,
                decision.code_version,
                decision.settings_hash,
            ),
            "its evidence is of something else",
        )
    judged_again = (
        state.last_judged is not None
        and decision.session is not None
        and decision.session <= state.last_judged
    )
    if verdict in (Verdict.COUNTED, Verdict.ADVANCED, Verdict.SOFT_BREACH):
        against = evidence.facts_against if evidence else ""
        require(not against, f"its evidence has {against}")
        require(not state.latched, "the component is latched")
        require(
            decision.code_version not in state.condemned,
            f"code version {decision.code_version} was rolled back",
        )
        require(not judged_again, f"session {decision.session} was judged before")
    if verdict not in _MOVES:
        require(end is start, f"it moves from {start.label} to {end.label}")
    match verdict:
        case Verdict.ADVANCED:
            require(not state.frozen, "the component is frozen")
            require(end is start.following, f"{start.label} to {end.label} is not one stage up")
        case Verdict.ROLLED_BACK | Verdict.KILLED:
            require(end is Stage.OFF, f"it ends in {end.label}, not in off")
        case Verdict.REARMED:
            require(state.latched, "there is no latch to release")
            require(end is Stage.SHADOW, f"it ends in {end.label}, not in shadow")
            if by_controller:
                require(not state.frozen, "the component is frozen")
                require(not judged_again, f"session {decision.session} was judged before")
                require(
                    decision.code_version not in state.condemned,
                    f"code version {decision.code_version} was rolled back",
                )
        case Verdict.FORCED:
            require(not state.latched or end is Stage.OFF, "the component is latched: re-arm first")
        case Verdict.FROZEN:
            require(not state.frozen, "the component is frozen already")
        case Verdict.RELEASED:
            require(state.frozen, "the component is not frozen")


def _after(state: State, decision: Decision) -> State:
    """The state after a legal row."""
    version, settings_hash = decision.code_version, decision.settings_hash
    if decision.verdict in _JUDGED and decision.session is not None:
        # Late evidence of an old session can roll back; it does not open the later ones again.
        last = max(decision.session, state.last_judged or decision.session)
        breaches = (
            *state.breaches_with(version, settings_hash),
            decision.verdict is Verdict.SOFT_BREACH,
        )
        state = replace(
            state,
            last_judged=last,
            breaches=breaches,
            code_version=version,
            settings_hash=settings_hash,
            memory_share=decision.evidence.memory_share if decision.evidence else None,
        )
    if decision.verdict in _MOVES:
        state = replace(state, stage=decision.to_stage, breaches=())
    match decision.verdict:
        case Verdict.ROLLED_BACK | Verdict.KILLED:
            return replace(state, latched=True, condemned=state.condemned | {version})
        case Verdict.REARMED:
            return replace(state, latched=False, condemned=state.condemned - {version})
        case Verdict.FROZEN:
            return replace(state, frozen=True)
        case Verdict.RELEASED:
            return replace(state, frozen=False)
    return state


def as_record(row: LogRow) -> dict[str, Any]:
    """The row as flat values, one per column of ``operations.rollout_log``; evidence as JSON text."""
    decision = row.decision
    return {
        "number": row.number,
        "recorded_at": row.when.astimezone(ZoneInfo(TIMEZONE)),
        "actor": row.actor,
        "component": decision.component.label,
        "session": decision.session,
        "code_version": decision.code_version,
        "settings_hash": decision.settings_hash,
        "from_stage": decision.from_stage.label,
        "to_stage": decision.to_stage.label,
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "evidence": None if decision.evidence is None else _to_json(decision.evidence),
    }


def from_record(record: Mapping[str, Any]) -> LogRow:
    """The row that :func:`as_record` made flat; ``ValueError`` for an unknown label."""
    evidence = record["evidence"]
    decision = Decision(
        component=Component.named(record["component"]),
        verdict=Verdict(record["verdict"]),
        from_stage=Stage.named(record["from_stage"]),
        to_stage=Stage.named(record["to_stage"]),
        reason=record["reason"],
        code_version=record["code_version"],
        settings_hash=record["settings_hash"],
        session=record["session"],
        evidence=None if evidence is None else _from_json(evidence),
    )
    return LogRow(record["number"], record["recorded_at"], record["actor"], decision)


def _to_json(evidence: Evidence) -> str:
    values = asdict(evidence) | {
        "component": evidence.component.label,
        "session": evidence.session.isoformat(),
        "stage": evidence.stage.label,
    }
    return json.dumps(values, allow_nan=False)


def _from_json(text: str) -> Evidence:
    values = json.loads(text)
    return Evidence(
        **values
        | {
            "component": Component.named(values["component"]),
            "session": date.fromisoformat(values["session"]),
            "stage": Stage.named(values["stage"]),
        }
    )
