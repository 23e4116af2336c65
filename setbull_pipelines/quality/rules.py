"""All rules of all tables, found by table.

Belongs here: the list. Does not belong here: judging (the modules beside this one).
"""

from __future__ import annotations

from setbull_pipelines import tables
from setbull_pipelines.quality import (
    agreement,
    calendar,
    computed,
    daily_report,
    delivered,
    fetches,
    groups,
    holes,
    jumps,
    own_bars,
    processing,
    raw,
    revisions,
    rollout_log,
    scrubbing,
    self_test,
    served,
)
from setbull_pipelines.quality.contract import contract_rules
from setbull_pipelines.quality.verdict import Rule
from setbull_pipelines.warehouse.pointers import StoredTable


def all_rules() -> dict[StoredTable, tuple[Rule, ...]]:
    """Rules by the table they are about: its contract first, then what is special to it."""
    stored = [
        StoredTable(schema, table)
        for table in (
            *tables.RAW_TABLES,
            *tables.COMPUTED_TABLES,
            *tables.SERVED_TABLES,
            *tables.GROUP_TABLES,
            tables.DAILY_REPORT,
            tables.PROCESSING_METRICS,
            tables.FAILURES,
            tables.ROLLOUT_LOG,
        )
        for schema in table.schemas
    ]
    special = (
        *raw.RULES,
        *delivered.RULES,
        *calendar.RULES,
        *revisions.RULES,
        *computed.rules("v1"),
        *computed.rules("v2"),
        *agreement.RULES,
        *served.RULES,
        *daily_report.RULES,
        *processing.RULES,
        *rollout_log.RULES,
        *self_test.RULES,
        *scrubbing.RULES,
        *fetches.RULES,
        *groups.RULES,
        *jumps.RULES,
        *own_bars.RULES,
        *holes.RULES,
    )
    by_table = {table: list(contract_rules(table)) for table in stored}
    for rule in special:
        by_table.setdefault(rule.table, []).append(rule)
    return {table: tuple(rules) for table, rules in by_table.items()}
