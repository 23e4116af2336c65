"""Rules that every table has: its contract, judged on the stored rows."""

from __future__ import annotations

import copy

import pandas as pd

from setbull_pipelines.quality.verdict import Judge, JudgeTogether, Rule, Verdict
from setbull_pipelines.tables.columns import OHLC_RULES
from setbull_pipelines.warehouse.pointers import StoredTable

_CASES_SHOWN = 5
_AS_IN_CONTRACT = "columns, types, nulls and ranges are those of the contract"


def _schema(stored: StoredTable) -> Judge:
    def judge(frames, day, settings) -> Verdict:
        from pandera.errors import SchemaErrors

        frame = frames[stored.name]
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
    """Rows of all days in one pass: where they fulfil the contract, those of each day do, but for repeated keys."""
    judge = _schema(stored)
    key = list(stored.table.key)

    def judge_together(days, settings) -> list[Verdict]:
        from pandera.errors import SchemaError

        frames = [of_day[stored.name] for of_day in days]
        # A key may occur on two days, and only once on each.
        schema = copy.copy(stored.table.schema)
        schema.unique = None
        try:
            schema.validate(pd.concat(frames, ignore_index=True))
        except SchemaError:
            return [judge(of_day, pd.NaT, settings) for of_day in days]
        return [
            judge(of_day, pd.NaT, settings)
            if frame.duplicated(key).any()
            else _holds(_AS_IN_CONTRACT, frame)
            for of_day, frame in zip(days, frames, strict=True)
        ]

    return judge_together


def _keys_unique(stored: StoredTable) -> Judge:
    key = list(stored.table.key)

    def judge(frames, day, settings) -> Verdict:
        frame = frames[stored.name]
        repeated = frame[frame.duplicated(key)]
        if len(repeated):
            first = ", ".join(f"{name} {repeated.iloc[0][name]}" for name in key)
            return _breach(len(repeated), len(frame), f"first repeated key {first}")
        return _holds(f"no key ({', '.join(key)}) occurs twice", frame)

    return judge


def _ohlc(stored: StoredTable) -> Judge:
    def judge(frames, day, settings) -> Verdict:
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
