"""``setbull chart``: the path of a page that is there, and one sentence where none can be made."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import tables
from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun

pytestmark = pytest.mark.run


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["chart", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A copy of the finished run that pages are written into."""
    run = small_run.copy(tmp_path_factory.mktemp("chart") / "data")
    # Or the command tells that the catalog of a copy was that of another folder (test_catalog.py).
    refresh_catalog(run.warehouse, run.settings)
    return run


@pytest.fixture(autouse=True)
def in_its_folder(run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(run.settings.data_directory))


@pytest.fixture
def instrument(run: SmallRun) -> tuple[str, str]:
    """Symbol and key of the first one."""
    row = run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE]).iloc[0]
    return row["symbol"], row["instrument_key"]


def test_a_symbol_in_any_case_and_its_key_give_the_same_page(
    run: SmallRun, instrument: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    symbol, key = instrument
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    place = run.settings.data_directory / "reports" / f"chart-{symbol}.html"
    pages = []
    for named in (symbol.lower(), key):
        result = ask(named, "--open")
        assert result.exit_code == 0, result.output
        assert result.output == f"{place}\n"
        pages.append(place.read_text("utf-8"))
    assert pages[0] == pages[1]
    assert f"{key}</span></h1>" in pages[0]
    assert opened == [place.as_uri()] * 2


def test_a_place_a_range_and_a_timeframe_of_ones_own(
    run: SmallRun, instrument: tuple[str, str], tmp_path: Path
) -> None:
    out, day = tmp_path / "mine.html", run.days[-1]
    result = ask(
        *(instrument[0], "--from", day, "--to", day, "--timeframe", "5minute", "--output", out)
    )
    assert (result.exit_code, result.output) == (0, f"{out}\n")
    page = out.read_text("utf-8")
    assert f"<title>{instrument[0]}: chart, {day} to {day}</title>" in page
    assert 'data-frame="day"' not in page
    for link in (f"{day}.html", "index.html"):
        assert f"/reports/{link}" in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("NOBODY",), "found 'NOBODY', expected a key such as NSE_EQ|INE002A01018, or a symbol"),
        (
            ("SAMPLE0001", "--from", "2026-06-30", "--to", "2026-06-29"),
            "--from 2026-06-30 lies after --to 2026-06-29, expected the earlier day first",
        ),
        (("SAMPLE0001", "--from", "2999-01-01"), "--from 2999-01-01 lies in the future"),
        (
            ("SAMPLE0001", "--from", "2026-06-27", "--to", "2026-06-28"),
            "NSE is closed on every day from Saturday 2026-06-27",
        ),
        (
            ("SAMPLE0001", "--from", "2019-06-03", "--to", "2019-06-04"),
            "has no bars from 2019-06-03 to 2019-06-04, expected a range with some: the input has",
        ),
        (
            ("NSE_EQ|NOBODY",),
            "NSE_EQ|NOBODY has no bars, expected a range with some: the input has",
        ),
        (("SAMPLE0001", "--output", "/proc/nowhere.html"), "/proc/nowhere.html"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    result = ask(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


def test_an_empty_data_folder_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path))
    result = ask("NSE_EQ|NOBODY")
    assert result.exit_code == 2
    assert "nothing is stored yet; run: setbull run" in result.stderr
