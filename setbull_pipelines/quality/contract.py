"""Rules that every table has: its contract, judged on the stored rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from setbull_pipelines.quality.verdict import Judge, JudgeTogether, Rule, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.columns import OHLC_RULES
from setbull_pipelines.warehouse.errors import ContractViolation
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.validation import batch_of_frames

_CASES_SHOWN = 5
_AS_IN_CONTRACT = "columns, types, nulls and ranges are those of the contract"


def _schema(stored: StoredTable) -> Judge:
    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        frame = frames[stored.name]
        if _keep_contract(stored, [frame]):
            return _holds(_AS_IN_CONTRACT, frame)
        from pandera.errors import SchemaErrors

        try:
            stored.table.schema.validate(frame, lazy=True)
        except SchemaErrors as error:
            cases = error.failure_cases
            shown = "; ".join(
                f"{case.column}: {case.check}, found {case.failure_case}"
                for case in cases.head(_CASES_SHOWN).itertuples()
            )
            return _breach(len(cases), len(frame), shown)
        return _holds(_AS_IN_CONTRACT, frame)

    return judge


def _schema_together(stored: StoredTable) -> JudgeTogether:
    """Rows of all days in one pass: where those of each day fulfil the contract, no day is judged again by itself."""
    judge = _schema(stored)

    def judge_together(
        days: Sequence[Mapping[str, pd.DataFrame]], settings: Settings
    ) -> list[Verdict]:
        frames = [of_day[stored.name] for of_day in days]
        if _keep_contract(stored, frames):
            return [_holds(_AS_IN_CONTRACT, frame) for frame in frames]
        return [judge(of_day, pd.NaT, settings) for of_day in days]

    return judge_together


def _keep_contract(stored: StoredTable, frames: Sequence[pd.DataFrame]) -> bool:
    """Whether frames of one day each would be published; pandera takes longer, and tells what is wrong."""
    if any(list(frame.columns) != stored.table.column_names for frame in frames):
        return False  # in another order: the rule about stored rows has it too, that about rows to be stored has not
    by_day = {str(number): frame for number, frame in enumerate(frames)}
    try:
        batch_of_frames(stored.table, stored.name, by_day)
    except ContractViolation:
        return False
    return True


def _keys_unique(stored: StoredTable) -> Judge:
    key = list(stored.table.key)

    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        frame = frames[stored.name]
        repeated = frame[frame.duplicated(key)]
        if len(repeated):
            first = ", ".join(f"{name} {repeated.iloc[0][name]}" for name in key)
            return _breach(len(repeated), len(frame), f"first repeated key {first}")
        return _holds(f"no key ({', '.join(key)}) occurs twice", frame)

    return judge


def _ohlc(stored: StoredTable) -> Judge:
    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        frame = frames[stored.name]
        highest = frame[["open", "close"]].max(axis=1)
        lowest = frame[["open", "close"]].min(axis=1)
        wrong = frame[(frame["high"] < highest) | (frame["low"] > lowest)]
        if len(wrong):
            first = wrong.iloc[0]
            return _breach(
                len(wrong),
                len(frame),
                f"first {first['instrument_key']}: open {first['open']}, "
                f"high {first['high']}, low {first['low']}, close {first['close']}",
            )
        return _holds("high is the highest and low the lowest price", frame)

    return judge


def _holds(what: str, frame: pd.DataFrame) -> Verdict:
    return Verdict(True, f"{what}, in {len(frame):,} rows", {"rows": len(frame)})


def _breach(violations: int, rows: int, shown: str) -> Verdict:
    return Verdict(
        False, f"{violations:,} violations: {shown}", {"rows": rows, "violations": violations}
    )


def contract_rules(stored: StoredTable) -> tuple[Rule, ...]:
    """Schema and unique keys of a table, and high and low of a table of candles."""
    reads = (stored,)
    rules = [
        Rule(
            "schema",
            "Columns, types, nulls and ranges are those of the contract",
            stored,
            reads,
            _schema(stored),
            judge_together=_schema_together(stored),
        ),
        Rule("keys_unique", "No key occurs twice", stored, reads, _keys_unique(stored)),
    ]
    if set(OHLC_RULES) <= set(stored.table.rules):
        description = "High is the highest and low the lowest price of every candle"
        rules.append(Rule("ohlc", description, stored, reads, _ohlc(stored)))
    return tuple(rules)
