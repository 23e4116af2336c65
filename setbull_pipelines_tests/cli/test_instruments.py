"""Instruments by key or symbol, for every command that takes one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from setbull_pipelines import tables
from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline.instruments import NoSuchInstrument, key_of, unique_names
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

pytestmark = pytest.mark.run

INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)


def test_a_key_and_a_symbol_in_any_case_name_the_same_instrument(small_run: SmallRun) -> None:
    row = small_run.warehouse.read(INSTRUMENTS, [WHOLE]).iloc[3]
    for text in (row["instrument_key"], row["symbol"], row["symbol"].lower()):
        assert key_of(text, small_run.settings) == row["instrument_key"]


def test_a_text_of_the_form_of_a_key_is_taken_as_one(small_run: SmallRun) -> None:
    assert key_of("NSE_EQ|NOBODY", small_run.settings) == "NSE_EQ|NOBODY"
    assert key_of("NSE_EQ|NOBODY", Settings(data_directory=small_run.settings.data_directory / "x"))


def test_a_text_that_names_none_or_several_is_refused(copied_run: SmallRun) -> None:
    with pytest.raises(NoSuchInstrument, match="found 'NOBODY', expected a key such as"):
        key_of("NOBODY", copied_run.settings)
    rows = copied_run.warehouse.read(INSTRUMENTS, [WHOLE])
    same = rows.copy()
    same.loc[same.index[:2], "symbol"] = "TWIN"
    publish(copied_run.warehouse, INSTRUMENTS, WHOLE, same)
    with pytest.raises(NoSuchInstrument) as caught:
        key_of("TWIN", copied_run.settings)
    assert str(caught.value) == (
        "found 'TWIN', the symbol of 2 instruments; expected a key: "
        + ", ".join(rows["instrument_key"][:2])
    )
    names = unique_names(copied_run.settings)
    for key, symbol in zip(rows["instrument_key"], same["symbol"], strict=True):
        assert names[key] == (key if symbol == "TWIN" else symbol)


@pytest.mark.parametrize("command", [("invalidate",), ("revisions", "--instrument")])
def test_commands_take_symbols(
    command: tuple[str, ...], copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(copied_run.settings.data_directory))
    row = copied_run.warehouse.read(INSTRUMENTS, [WHOLE]).iloc[0]
    found = CliRunner().invoke(main, [*command, row["symbol"]])
    assert found.exit_code == 0, found.output
    by_key = CliRunner().invoke(main, [*command, row["instrument_key"]])
    assert found.output == by_key.output
    refused = CliRunner().invoke(main, [*command, "NOBODY"])
    assert refused.exit_code == 2
    assert "found 'NOBODY', expected a key such as" in refused.stderr
