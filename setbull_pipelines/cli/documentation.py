"""Pages that are printed from the code: ``python -m setbull_pipelines.cli.documentation`` writes them.

Belongs here: laying out table contracts and macros as Markdown. Does not belong here: any fact of its own. A
test fails when the committed pages differ from what this prints.
"""

from __future__ import annotations

from setbull_pipelines import tables
from setbull_pipelines.cli.home import PROJECT
from setbull_pipelines.tables.bb_width import DISTANCE
from setbull_pipelines.tables.contract import EXACT, RELATIVE, SCORE
from setbull_pipelines.tables.general_definitions import general_rules
from setbull_pipelines.tables.oracles import Oracle
from setbull_pipelines.tables.reconciliation import RECONCILED
from setbull_pipelines.tables.served import SERVED_SCHEMA, VARIANT
from setbull_pipelines.warehouse.macros import MACROS

_NOTICE = "<!-- printed by: python -m setbull_pipelines.cli.documentation -->\n\n"


def tables_page() -> str:
    """All tables with their columns."""
    lines = ["# Tables", "", "Tolerance classes of the comparison of V1 and V2:", ""]
    for tolerance in (EXACT, RELATIVE, SCORE, DISTANCE):
        lines.append(f"- **{tolerance.name}**: {tolerance.reason}.")
    shown_for_all = (
        tables.RECONCILIATIONS[RECONCILED[0]],
        tables.RECONCILIATION_CELLS[RECONCILED[0]],
        tables.RECONCILIATION_DIAGNOSES[RECONCILED[0]],
        tables.RECONCILIATION_INSTRUMENTS[RECONCILED[0]],
        tables.RECONCILIATION_WINDOWS[RECONCILED[0]],
        tables.RECONCILIATION_BARS[RECONCILED[0]],
    )
    shown = (
        *tables.RAW_TABLES,
        *tables.COMPUTED_TABLES,
        *tables.GROUP_TABLES,
        *shown_for_all,
        tables.RECONCILIATION_DECISIONS,
        tables.RECONCILIATION_SUMMARY,
        tables.DAILY_REPORT,
        *tables.OPERATIONS_TABLES,
    )
    for table in shown:
        where = ", ".join(f"`{schema}.{table.name}`" for schema in table.schemas)
        lines += ["", f"## {table.name}", "", f"{where}. {table.description}", ""]
        if table in shown_for_all:
            lines += [f"The same columns for: {', '.join(RECONCILED)}.", ""]
        partition = "one partition per trading day" if table.partitioned else "not partitioned"
        lines += [f"Key: {', '.join(table.key)}; {partition}.", ""]
        lines += [
            "| column | type | unit | null | tolerance | meaning |",
            "|---|---|---|---|---|---|",
        ]
        for column in table.columns:
            meaning = _cell(column.description)
            lines.append(
                f"| {column.name} | {column.kind.duckdb_type} | {column.unit or ''} | "
                f"{'yes' if column.nullable else ''} | {column.tolerance.name} | {meaning} |"
            )
    served = ", ".join(f"`{SERVED_SCHEMA}.{name}`" for name in tables.SERVED)
    lines += [
        "",
        "## served",
        "",
        f"{served}: what readers use. The columns of the computed table and:",
    ]
    lines += ["", f"- **{VARIANT.name}** ({VARIANT.kind.duckdb_type}): {VARIANT.description}."]
    return _NOTICE + "\n".join(lines) + "\n"


def definitions_page() -> str:
    """Formula, seed, warm-up, null rule and oracle of every computed column."""
    lines = [
        "# Definitions",
        "",
        "How every computed column is defined, for V1 and V2 alike. Numbers in formulas are the defaults of "
        "`setbull_pipelines/settings.py`; units, types and tolerances are in [tables.md](tables.md), edge cases in "
        "`setbull_pipelines/variants/protocol.py`. A bar is one row of a series: one instrument, of daily bars also "
        "one series, in time order and across sessions. An *oracle* is where a value is known from that nobody "
        "computed with this code; the last section names the test of each. Both variants are "
        "held against it; in a test of `v1/` V1 is, and V2 against V1.",
    ]
    lines += ["", "## For all tables", ""]
    lines += [f"- **{topic}.** {rule}" for topic, rule in general_rules().items()]
    known_from: dict[Oracle, None] = {}
    for table in tables.COMPUTED_TABLES:
        lines += [
            "",
            f"## {table.name}",
            "",
            f"One row per {', '.join(table.key)}.",
            "",
            "| column | formula | seed | warm-up | null | oracle |",
            "|---|---|---|---|---|---|",
        ]
        for column in table.defined_columns:
            oracles = column.oracles or table.oracles
            cells = (
                column.name,
                column.formula or column.description,
                column.seed or "none",
                column.warm_up or "none",
                column.null_rule or "never null",
                ", ".join(oracle.name for oracle in oracles),
            )
            lines.append(f"| {' | '.join(_cell(text) for text in cells)} |")
            known_from |= dict.fromkeys(oracles)
    lines += ["", "## Oracles", "", "| oracle | what it is | test |", "|---|---|---|"]
    lines += [f"| {oracle.name} | {oracle.what} | `{oracle.test}` |" for oracle in known_from]
    lines += ["", "The tests are below `setbull_pipelines_tests/variants/`."]
    return _NOTICE + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def queries_page() -> str:
    """The macros of the catalog with their examples."""
    lines = [
        "# Queries",
        "",
        "The catalog `data/setbull.duckdb` has a view per table and these macros: the sequence repository of the "
        "system this project replaces, and candles as they were known at a moment. "
        "Ask with `setbull sql`, or open the file read-only.",
        "",
        "`setbull sql` takes one SELECT, or EXPLAIN [ANALYZE] of one. Its connection is locked by DuckDB's own "
        "configuration: it opens no file outside the warehouse, writes none, and downloads no extension. A connection "
        "of your own is as open as you make it.",
        "",
        "After the data folder was copied or moved, see [operations.md](operations.md).",
    ]
    for macro in MACROS:
        lines += ["", f"## {macro.name}", "", macro.description, "", "```sql", macro.example, "```"]
    return _NOTICE + "\n".join(lines) + "\n"


PAGES = {
    "tables.md": tables_page,
    "definitions.md": definitions_page,
    "queries.md": queries_page,
}


def main() -> None:
    """Write the pages into ``docs/``."""
    for name, page in PAGES.items():
        (PROJECT / "docs" / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
