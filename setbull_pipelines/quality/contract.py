"""Rules that every table has: its contract, judged on the stored rows."""

from __future__ import annotations

import pandas as pd
from pandera.errors import SchemaErrors

from setbull_pipelines.quality.verdict import Rule, Verdict
from setbull_pipelines.tables.columns import OHLC_RULES
from setbull_pipelines.warehouse.store import StoredTable

_OHLC_NAMES = tuple(rule.name for rule in OHLC_RULES)
_CASES_SHOWN = 5


def _failures(stored: StoredTable, frame: pd.DataFrame) -> pd.DataFrame:
    try:
        stored.table.schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        return error.failure_cases
    return pd.DataFrame({"check": [], "column": [], "failure_case": []})


def _verdict(failures: pd.DataFrame, rows: int, holds: str) -> Verdict:
    if failures.empty:
        return Verdict(True, f"{holds} on {rows:,} rows", {"rows": rows})
    shown = "; ".join(
        f"{row.column}: {row.check}, found {row.failure_case}"
        for row in failures.head(_CASES_SHOWN).itertuples()
    )
    return Verdict(
        False, f"{len(failures):,} violations: {shown}", {"rows": rows, "violations": len(failures)}
    )


def contract_rules(stored: StoredTable) -> tuple[Rule, ...]:
    """Schema and unique keys of a table, and high and low of a table of candles."""

    def select(kind: str):
        def judge(frames, day, settings) -> Verdict:
            frame = frames[stored.name]
            failures = _failures(stored, frame)
            checks = failures["check"].astype(str)
            is_key = checks.str.contains("unique")
            is_ohlc = checks.isin(_OHLC_NAMES)
            chosen = {"keys": is_key, "ohlc": is_ohlc, "schema": ~is_key & ~is_ohlc}[kind]
            holds = {
                "keys": f"no key ({', '.join(stored.table.key)}) occurs twice",
                "ohlc": "high is highest and low is lowest",
                "schema": "columns, types, nulls and ranges are those of the contract",
            }[kind]
            return _verdict(failures[chosen.to_numpy(dtype=bool)], len(frame), holds)

        return judge

    rules = [
        Rule(
            "schema",
            "Columns, types, nulls and ranges are those of the contract",
            stored,
            (stored,),
            select("schema"),
        ),
        Rule("keys_unique", "No key occurs twice", stored, (stored,), select("keys")),
    ]
    if set(OHLC_RULES) <= set(stored.table.rules):
        rules.append(
            Rule(
                "ohlc",
                "High is the highest and low the lowest price of every candle",
                stored,
                (stored,),
                select("ohlc"),
            )
        )
    return tuple(rules)
