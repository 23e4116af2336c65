"""Pages that are printed from the code: ``python -m setbull_pipelines.cli.documentation`` writes them.

Belongs here: laying out table contracts, macros, settings and the faults of the self-test as Markdown. Does not belong
here: any fact of its own; licences (``licences.py``). A test fails when the committed pages differ from what this
prints.
"""

from __future__ import annotations

import re

from setbull_pipelines import tables
from setbull_pipelines.cli.home import PROJECT
from setbull_pipelines.cli.licences import licences_page
from setbull_pipelines.reconciliation.self_test.score import MUTANTS
from setbull_pipelines.settings import Settings
from setbull_pipelines.settings.deployment import groups_of
from setbull_pipelines.settings.former_names import FORMER
from setbull_pipelines.settings.meanings import purpose_of, reader_of, settings_of
from setbull_pipelines.settings.toml_text import toml_value
from setbull_pipelines.tables.bb_width import DISTANCE
from setbull_pipelines.tables.contract import EXACT, RELATIVE, SCORE
from setbull_pipelines.tables.general_definitions import general_rules
from setbull_pipelines.tables.oracles import Oracle
from setbull_pipelines.tables.reconciliation import RECONCILED
from setbull_pipelines.tables.served import SERVED_SCHEMA, VARIANT
from setbull_pipelines.warehouse.macros import MACROS

_NUMBERED = re.compile(r"(?:(\d+) )?(.+)")
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
        "[settings.md](settings.md); units, types and tolerances are in [tables.md](tables.md), edge cases in "
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
        "The catalog `data/setbull.duckdb` has a view for each table, and the macros below. Query it with "
        "`setbull sql`, or open the file read-only.",
        "",
        "`setbull sql` takes one SELECT, or EXPLAIN [ANALYZE] of one. DuckDB's configuration locks its connection: it "
        "opens no file outside the warehouse, writes none, and downloads no extension. A connection of your own has "
        "no such limits.",
        "",
        "If the data folder was copied or moved: [operations.md](operations.md#recovery).",
        "",
        "`timestamp` is TIMESTAMP WITH TIME ZONE, which a connection of your own shows in its own zone; "
        "`SET TimeZone = 'Asia/Kolkata'` shows exchange time. `trading_day` is a date and needs no zone.",
        "",
        "[notebook.ipynb](notebook.ipynb) opens the tables, draws, compares V1 with V2, tests a filter on past data. "
        "The description of each macro is also its comment in the catalog (`duckdb_functions()`).",
    ]
    for macro in MACROS:
        lines += ["", f"## {macro.name}", "", macro.description, "", "```sql", macro.example, "```"]
    return _NOTICE + "\n".join(lines) + "\n"


_READERS = {
    "computing": "Computed values depend on these. They alone are part of a code version: another value computes "
    "again what depends on it.",
    "operating": "How results are judged, kept and rolled out, and what work may use. None is part of a code version.",
    "connecting": "What lies outside: the files that come in, the broker, who gets alerts, who asks. None is part of a "
    "code version; how files were read is part of what was landed.",
}


def settings_page() -> str:
    """Every setting with its default, what it can be and what it means, and what the old service called it."""
    lines = [
        "# Settings",
        "",
        "`SETBULL_SETTINGS` names a TOML file. Each table below is a table of that file, and a file holds only what it "
        'changes; `profile = "strict"` at its top chooses other thresholds of the filters '
        "([filters.md](filters.md)). A value that cannot be, or a key that is unknown, is refused with one sentence.",
        "",
        "- `setbull settings` prints all values in force, and of each whether it is the default, from the file, from "
        "the environment, or as the last run of the data folder was told;",
        "- `setbull settings --defaults > settings.toml` makes a file to start from.",
        "",
        "Other variables: `SETBULL_DATA_DIR` is the data folder, `SETBULL_INPUT` the input, `SETBULL_KILL_V2=1` serves "
        "V1 everywhere. Secrets are in variables only, and are never printed: `SETBULL_UPSTOX_TOKEN`, the token that "
        "`api.token_variable` names, the receivers that `alerts.channels` names, `AWS_*`.",
    ]
    groups = groups_of(Settings())
    for reader, what in _READERS.items():
        lines += ["", f"## For {reader}", "", what]
        for name, group in groups.items():
            if reader_of(group) != reader:
                continue
            lines += ["", f"### [{name}]", "", purpose_of(group).replace("``", "`"), ""]
            lines += ["| setting | default | expected | meaning |", "|---|---|---|---|"]
            for setting in settings_of(group):
                default = "none" if setting.default is None else f"`{toml_value(setting.default)}`"
                cells = (setting.name, default, setting.allowed, setting.meaning)
                lines.append(f"| {' | '.join(_cell(text).replace('``', '`') for text in cells)} |")
    lines += ["", "## What the old service called them", ""]
    lines += ["| where | old | here |", "|---|---|---|"]
    for former in FORMER:
        names = ", ".join(f"`{name}`" for name in former.names)
        now = ", ".join(f"`{name}`" for name in former.now)
        here = "; ".join(filter(None, (now, former.remark)))
        lines.append(f"| {former.block} | {names} | {_cell(here)} |")
    return _NOTICE + "\n".join(lines) + "\n"


def faults_page() -> str:
    """The faults that the self-test puts into V2, and what each must be called."""
    lines = [
        "# Faults of the self-test",
        "",
        f"`setbull self-test` puts each of these {len(MUTANTS)} faults into V2 and requires that the comparison "
        "finds it in the columns named here, under this name (or one of them). The number is that of the list of "
        "differences between the two variants of the replaced system; the others are faults that it did not have.",
        "",
        "| number | fault | table | columns and the name of their difference |",
        "|---|---|---|---|",
    ]
    for mutant in MUTANTS:
        number, name = _NUMBERED.fullmatch(mutant.name).groups()
        columns: dict[str, list[str]] = {}
        for column, diagnosis in mutant.diagnoses.items():
            columns.setdefault(diagnosis, []).append(f"`{column}`")
        told = "; ".join(f"{', '.join(names)}: {said}" for said, names in columns.items())
        lines.append(f"| {number or ''} | {_cell(name)} | `{mutant.table.name}` | {_cell(told)} |")
    return _NOTICE + "\n".join(lines) + "\n"


PAGES = {
    "faults.md": faults_page,
    "licences.md": lambda: _NOTICE + licences_page(PROJECT / "constraints.txt"),
    "tables.md": tables_page,
    "definitions.md": definitions_page,
    "queries.md": queries_page,
    "settings.md": settings_page,
}


def main() -> None:
    """Write the pages into ``docs/``."""
    for name, page in PAGES.items():
        (PROJECT / "docs" / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
