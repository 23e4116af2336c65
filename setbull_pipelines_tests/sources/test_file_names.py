"""The instrument in a file's name: taken where exactly one part can be a symbol, else asked for."""

from __future__ import annotations

import pytest

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.file_names import said_by_settings, symbol_in


@pytest.mark.parametrize(
    ("path", "symbol"),
    [
        ("RELIANCE.csv", "RELIANCE"),
        ("RELIANCE_1min.csv", "RELIANCE"),
        ("RELIANCE_5minute_2025-06-02.csv.gz", "RELIANCE"),
        ("RELIANCE-1D.csv", "RELIANCE"),
        ("NSE_RELIANCE.csv", "RELIANCE"),
        ("RELIANCE_1min.csv.xz", "RELIANCE"),
        ("RELIANCE.feather", "RELIANCE"),
        ("RELIANCE.NS.csv", "RELIANCE"),
        ("RELIANCE.BO.csv", "BSE:RELIANCE"),
        ("M&M_minute.csv", "M&M"),
        ("BAJAJ-AUTO_day.json", "BAJAJ-AUTO"),
        ("SBIN-EQ.json", "SBIN"),
        ("candles_TCS_20250602.parquet", "TCS"),
        ("RELIANCE/2025-06.csv", "RELIANCE"),
        ("RELIANCE/1min_2025.csv", "RELIANCE"),
        ("NIFTY 50_minute.csv", "NIFTY 50"),
        ("NIFTY FIN SERVICE.csv", "NIFTY FIN SERVICE"),
        ("20MICRONS_1min.csv", "20MICRONS"),
        ("360ONE.csv", "360ONE"),
        ("RELIANCE/2025/06/02.csv", "RELIANCE"),
        ("RELIANCE_3months_1year.csv", "RELIANCE"),
        ("EQ020625.csv", None),
        ("RELIANCE_TCS.csv", None),
        ("prices.csv", None),
        ("reliance.csv", None),
        ("44_kite.csv", None),
        ("DATA.csv", None),
        ("RELIANCE/prices.csv", None),
    ],
)
def test_names_of_usual_forms(path: str, symbol: str | None) -> None:
    assert symbol_in(path) == symbol


def test_the_settings_say_it_for_other_names() -> None:
    def said(path: str, **reading: object) -> str | None:
        return said_by_settings(path, InputSettings(**reading))

    assert said("reliance.csv") is None
    assert said("reliance.csv", symbol_from="file name") == "RELIANCE"
    assert said("eod-RELIANCE-x.csv", symbol_pattern=r"^eod-([A-Z]+)-") == "RELIANCE"
    assert said("other.csv", symbol_pattern=r"^eod-([A-Z]+)-") is None
    assert said("a/b.csv", symbols={"b.csv": "NSE_EQ|X"}) == "NSE_EQ|X"
    assert said("a/b.csv", symbols={"c.csv": "X"}) is None
