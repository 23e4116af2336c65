"""The outside referee: compares exported partitions with datacompy, knowing nothing of this project but column names.

Run by the interpreter of `.venv-referee`: ``python referee.py REQUEST ANSWER``. Belongs here: reading the files,
calling datacompy, writing its counts. Does not belong here: any import or rule of the project.

REQUEST is a JSON object: name of a comparison -> ``left`` and ``right`` (paths of Parquet files), ``key`` (column
names), ``relative`` and ``absolute`` (tolerance of every other column). ANSWER has under the same name ``agrees``,
``rows_only_left``, ``rows_only_right`` and ``unequal`` (cells by column, only of columns that have some).
"""

import json
import sys
from pathlib import Path

import datacompy
import pandas as pd
import pyarrow
import pyarrow.parquet


def read(path: str) -> pd.DataFrame:
    """Return a file as a frame with plain text instead of categories."""
    table = pyarrow.parquet.ParquetFile(path).read()
    for place, field in enumerate(table.schema):
        if pyarrow.types.is_dictionary(field.type):
            plain = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, field.name, plain)
    return table.to_pandas()


def judge(case: dict) -> dict:
    """Return what datacompy says about one comparison."""
    verdict = datacompy.PandasCompare(
        read(case["left"]),
        read(case["right"]),
        join_columns=case["key"],
        rel_tol=case["relative"],
        abs_tol=case["absolute"],
    )
    return {
        "agrees": bool(verdict.matches()),
        "rows_only_left": len(verdict.df1_unq_rows),
        "rows_only_right": len(verdict.df2_unq_rows),
        "unequal": {
            column["column"]: int(column["unequal_cnt"])
            for column in verdict.column_stats
            if column["unequal_cnt"]
        },
    }


if __name__ == "__main__":
    request, answer = map(Path, sys.argv[1:])
    cases = json.loads(request.read_text(encoding="utf-8"))
    verdicts = {name: judge(case) for name, case in cases.items()}
    answer.write_text(json.dumps(verdicts, indent=2), encoding="utf-8")
