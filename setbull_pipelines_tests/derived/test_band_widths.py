"""What the band widths of a session are together, on rows made by hand."""

from __future__ import annotations

import pandas as pd

from setbull_pipelines.derived.band_widths import Widths, widths_of


def rows(*values: tuple) -> pd.DataFrame:
    names = ["bb_width", "bb_width_trend", "alert_rule", "is_squeeze"]
    return pd.DataFrame(values, columns=names).astype({"bb_width": "float64"})


def test_counts_and_widths_of_instruments_with_a_band() -> None:
    found = widths_of(
        rows(
            (2.0, "contracting", "squeeze", True),
            (4.0, "contracting", "threshold", False),
            (9.0, "stable", None, None),
            (None, None, None, None),
        )
    )
    assert found == Widths(
        instruments=3,
        alerting=2,
        squeezed=1,
        least=2.0,
        greatest=9.0,
        mean=5.0,
        by_trend={"contracting": 2, "expanding": 0, "stable": 1},
        by_rule={"squeeze": 1, "threshold": 1},
    )


def test_without_a_band_nothing_is_known() -> None:
    found = widths_of(rows((None, None, None, None)))
    assert (found.instruments, found.least, found.greatest, found.mean) == (0, None, None, None)
    assert (found.by_rule, sum(found.by_trend.values())) == ({}, 0)
