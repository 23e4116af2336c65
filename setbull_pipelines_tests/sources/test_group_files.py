"""Files of stock groups: what is a group, and the sentence of every row that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from setbull_pipelines import tables
from setbull_pipelines.sources.group_files import CheckedGroups, check_groups, read_groups
from setbull_pipelines.sources.raw_rows import UnreadableFile

HEADER = "group_id,instrument_key,entry_type,stop_loss_percent,direction,position_type"
RELIANCE, TCS = "NSE_EQ|INE002A01018", "NSE_EQ|INE467B01029"


def check(*lines: str, header: str = HEADER) -> CheckedGroups:
    return check_groups("\n".join([header, *lines, ""]).encode(), "groups.csv")


def test_rows_become_members_with_defaults() -> None:
    checked = check(f"morning,{RELIANCE},1st_entry,0.5,short,FIXED", f"morning,{TCS},1ST_ENTRY,5,,")
    rows = tables.STOCK_GROUPS.schema.validate(checked.groups)
    assert rows["entry_type"].tolist() == ["1ST_ENTRY"] * 2
    assert rows["direction"].fillna("not said").tolist() == ["SHORT", "not said"]
    assert rows["position_type"].tolist() == ["FIXED", "DYNAMIC"]
    assert rows["line"].tolist() == [2, 3]
    assert checked.rejected.empty


@pytest.mark.parametrize(
    ("lines", "number", "reason"),
    [
        ([f",{TCS},BB_RANGE,1,,"], 2, "Found '' in column group_id, expected the name of a group."),
        (
            ["a,NSE_FO|1,BB_RANGE,1,,"],
            2,
            "Found 'NSE_FO|1' in column instrument_key, expected a stock of NSE_EQ.",
        ),
        (
            ["a,RELIANCE,BB_RANGE,1,,"],
            2,
            "Found 'RELIANCE' in column instrument_key, expected a stock of NSE_EQ.",
        ),
        (
            [f"a,{TCS},3RD_ENTRY,1,,"],
            2,
            "Found '3RD_ENTRY' in column entry_type, expected one of 1ST_ENTRY, 2_30_ENTRY, BB_RANGE.",
        ),
        (
            [f"a,{TCS},BB_RANGE,0,,"],
            2,
            "Found '0' in column stop_loss_percent, expected a number above 0 and at most 5.",
        ),
        (
            [f"a,{TCS},BB_RANGE,nan,,"],
            2,
            "Found 'nan' in column stop_loss_percent, expected a number above 0 and at most 5.",
        ),
        (
            [f"a,{TCS},BB_RANGE,1,UP,"],
            2,
            "Found 'UP' in column direction, expected one of LONG, SHORT, or nothing.",
        ),
        (
            [f"a,{TCS},BB_RANGE,1,,HALF"],
            2,
            "Found 'HALF' in column position_type, expected one of FIXED, DYNAMIC, or nothing.",
        ),
        (
            [f"a,{TCS},BB_RANGE,1,,", f"a,{RELIANCE},1ST_ENTRY,1,,"],
            3,
            "Found '1ST_ENTRY' in column entry_type, expected BB_RANGE as in line 2 of the same group.",
        ),
        (
            [f"a,{TCS},BB_RANGE,1,,", f"a,{TCS},BB_RANGE,2,,"],
            3,
            f"Found '{TCS}' in column instrument_key, expected an instrument once in group a.",
        ),
        (
            [f"a,NSE_EQ|INE00000000{number},BB_RANGE,1,," for number in range(6)],
            7,
            "Found 'a' in column group_id, expected at most 5 instruments in a group.",
        ),
        (
            [f"a,{TCS},BB_RANGE,1,,", f"b,{TCS},BB_RANGE,2,,"],
            3,
            "Found 'b' in column group_id, expected another set of instruments or entry type than that of group a.",
        ),
        ([f"a,{TCS},BB_RANGE,1"], 2, "Found 4 fields, expected 6 as in the header."),
    ],
)
def test_a_bad_row_is_kept_with_its_reason_and_leaves_the_others(
    lines: list[str], number: int, reason: str
) -> None:
    checked = check(*lines)
    (row,) = tables.STOCK_GROUPS_QUARANTINE.schema.validate(checked.rejected).itertuples()
    assert (row.line, row.reason, row.source) == (number, reason, "groups.csv")
    assert len(checked.groups) == len(lines) - 1
    assert lines[number - 2].split(",")[0] in row.record


@pytest.mark.parametrize(
    "header", ["group_id,instrument_key,entry_type", HEADER + ",entry_time", "a,b,c"]
)
def test_a_file_with_other_columns_is_refused(header: str) -> None:
    with pytest.raises(
        UnreadableFile, match=r"found the columns .*, expected group_id, instrument"
    ):
        check("x,y,z", header=header)


def test_the_sentence_names_setting_and_file(tmp_path: Path) -> None:
    with pytest.raises(
        UnreadableFile, match=r"setting groups\.file: found '.*none\.csv', expected a"
    ):
        read_groups(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(UnreadableFile, match=r"setting groups.file: empty.csv: found an empty"):
        read_groups(tmp_path / "empty.csv")
