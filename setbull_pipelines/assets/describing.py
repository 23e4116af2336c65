"""What an asset says of itself in the UI: owner, description with formulas, lineage of its columns.

Belongs here: turning contracts and steps into Dagster's words. Does not belong here: the facts themselves
(``tables/``, ``pipeline/steps.py``), single assets.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.pipeline.references import REFERENCES
from setbull_pipelines.pipeline.steps import Input, Step
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.served import SERVED_SCHEMA, VARIANT
from setbull_pipelines.warehouse.pointers import StoredTable

_COMPUTING = "team:computing"
OWNERS = {
    "raw": "team:market-data",
    "candles": _COMPUTING,
    "indicators": _COMPUTING,
    "sequences": _COMPUTING,
    "filters": _COMPUTING,
    "reconciliation": "team:quality",
    "served": "team:serving",
    "charts": "team:serving",
    "operations": "team:operations",
}
"""By group: who is asked first. Roles, not people, so that the list outlives who fills them."""
_VARIANTS = {
    "v1": "V1, the plain reference that can be checked against a textbook (`variants/v1/`)",
    "v2": "V2, the fast column-wise implementation (`variants/v2/`)",
}
_RAW = {table.name for table in (*tables.RAW_TABLES, tables.STOCK_GROUPS)}


def link(schema: str, table: Table) -> str:
    """The asset of a table, as a link inside the UI."""
    name = f"{schema}/{table.name}"
    return f"[{name}](/assets/{name})"


def computed_description(stored: StoredTable, step: Step, settings: Settings) -> str:
    """What a computed table is, in which variant, from where, and the formula of every column."""
    table = stored.table
    others = [f"held against the other variant in {link('reconciliation', table)}"]
    if table.name in tables.SERVED:
        others.append(f"served as {link('served', table)}")
    sources = [_input(item, stored.schema, settings) for item in step.inputs]
    if step.is_adjusted:
        adjusting = " and ".join(link("raw", each) for each in REFERENCES)
        sources.append(f"in prices and under keys of the day, by {adjusting}")
    return "\n\n".join(
        (
            table.description,
            f"**Variant**: {_VARIANTS[stored.schema]}; {', '.join(others)}.",
            f"**One row per** {_names(table.key)}.",
            f"**From** {'; '.join(sources)}.",
            "**Formulas** (every edge case: `variants/protocol.py`)",
            formulas(table),
        )
    )


def served_description(stored: StoredTable, component: str) -> str:
    """What a served table is, and where its rows are from."""
    lanes = " or ".join(link(lane, stored.table) for lane in ("v1", "v2"))
    return "\n\n".join(
        (
            stored.table.description,
            f"**One row per** {_names(stored.table.key)}. Which variant it is from: column `{VARIANT.name}`.",
            f"**From** {lanes}, by instrument, as the stage of the component `{component}` in "
            f"[operations/rollout_log](/assets/operations/rollout_log) says.",
            f"**V1 against V2**: {link('reconciliation', stored.table)}.",
        )
    )


def plan_description(stored: StoredTable) -> str:
    """What the plan of the stock groups is, and what each of its columns is from."""
    return "\n\n".join(
        (
            stored.table.description,
            f"**One row per** {_names(stored.table.key)}.",
            "**Columns**",
            formulas(stored.table),
        )
    )


def formulas(table: Table) -> str:
    """The value columns of a table as Markdown: column, formula, unit, and the columns it is from.

    The UI of a single machine draws no lineage of columns, so it is shown in words, too.
    """
    lines = ["| column | formula | unit | from |", "|---|---|---|---|"]
    for column in table.value_columns:
        formula = (column.formula or column.description).replace("|", "\\|")
        sources = ", ".join(map(".".join, column.sources))
        lines.append(f"| {column.name} | {formula} | {column.unit or ''} | {sources} |")
    return "\n".join(lines)


def column_lineage(stored: StoredTable) -> dg.TableColumnLineage | None:
    """The columns that each column of a computed or served table is from; None for all other tables."""
    table = stored.table
    if stored.schema in _VARIANTS or table.name == tables.GROUP_EXECUTION_PLAN.name:
        deps = {
            column.name: [
                _dep(_schema(source.table, stored.schema), *source) for source in column.sources
            ]
            for column in table.columns
        }
    elif stored.schema == SERVED_SCHEMA and table.name in tables.SERVED:
        deps = {
            name: [_dep(lane, table.name, name) for lane in _VARIANTS]
            for name in table.column_names
        }
        # Which variant serves is a function of the instrument's key.
        deps[VARIANT.name] = [_dep(lane, table.name, "instrument_key") for lane in _VARIANTS]
    else:
        return None
    return dg.TableColumnLineage(deps)


def _schema(table: str, variant: str) -> str:
    return "raw" if table in _RAW else variant


def _dep(schema: str, table: str, column: str) -> dg.TableColumnDep:
    return dg.TableColumnDep(dg.AssetKey([schema, table]), column)


def _input(item: Input, variant: str, settings: Settings) -> str:
    sessions = item.look_back(settings)
    before = f" of the day and the {sessions} sessions before" if sessions else " of the day"
    return link(_schema(item.table.name, variant), item.table) + before


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)
