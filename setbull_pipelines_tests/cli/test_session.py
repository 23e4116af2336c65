"""The lines about the last session of a run, held against sessions written by hand."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from setbull_pipelines.cli.session import session_lines
from setbull_pipelines.settings import Settings

DAY = date(2025, 6, 5)


class Stored:
    """Tables of one day, as the warehouse would read them."""

    def __init__(self, **frames: pd.DataFrame) -> None:
        self._frames = frames

    def read(self, stored, partitions) -> pd.DataFrame:
        return self._frames[stored.table.name]


def lines_of(
    minutes: dict[str, tuple[float, float, int]],
    verdicts: dict[str, str] | None = None,
    squeezes: tuple[str, ...] = (),
    bars_of_history: int = 4,
) -> list[str]:
    """Lines of a session of instruments with open, close and minutes of 375; the second has no symbol."""
    keys = list(minutes)
    candles = pd.DataFrame(
        [("minutes", key, *values, 375) for key, values in minutes.items()],
        columns=[
            "series",
            "instrument_key",
            "open",
            "close",
            "minutes_present",
            "minutes_expected",
        ],
    )
    stored = Stored(
        candles_daily=candles,
        instruments=pd.DataFrame(
            {
                "instrument_key": keys,
                "symbol": [None if n == 1 else f"S{n}" for n in range(len(keys))],
            }
        ),
        indicators_5min=pd.DataFrame(
            {
                "instrument_key": [keys[0], keys[0]],
                "timestamp": pd.to_datetime(["2025-06-05 15:25", "2025-06-05 15:20"]),
                "vwap": [101.5, 99.0],
            }
        ),
        bb_width_alerts=pd.DataFrame(
            {
                "instrument_key": keys,
                "is_squeeze": pd.array([key in squeezes for key in keys], dtype="boolean"),
                "bb_width": 0.1,
                "look_back_sessions": 3,
            }
        ),
        filter_results=pd.DataFrame(
            {"instrument_key": list(verdicts or {}), "verdict": list((verdicts or {}).values())}
        ),
        indicators_daily=pd.DataFrame({"instrument_key": keys, "bars_of_history": bars_of_history}),
    )
    return list(session_lines(stored, DAY, Settings()))


def test_completeness_movers_with_their_vwap_and_narrow_bands() -> None:
    found = lines_of(
        {
            "NSE_EQ|A": (100.0, 102.0, 375),
            "NSE_EQ|B": (50.0, 49.0, 300),
            "NSE_EQ|C": (10.0, 10.0, 374),
        },
        squeezes=("NSE_EQ|B",),
    )
    assert found == [
        "session of 2025-06-05: 3 instruments, 1,049 of 1,125 minutes (93.24%)",
        "  up from open to close: 1, most S0 +2.00 % to 102.00, VWAP 101.50",
        "  down from open to close: 1, most NSE_EQ|B -2.00 % to 49.00",
        "  bands not wider than in 3 sessions before: 1, narrowest NSE_EQ|B",
    ]


def test_an_instrument_with_one_minute_is_named_though_the_mean_is_high() -> None:
    found = lines_of({f"NSE_EQ|{n}": (10.0, 10.0, 375 if n else 1) for n in range(30)})
    assert found[1] == "  thin, below 80% of its minutes: 1 instruments, fewest S0 1 of 375"


@pytest.mark.parametrize(("bars", "is_told"), [(4, True), (249, True), (250, False)])
def test_filters_without_history_say_how_much_is_needed_from_when_on(
    bars: int, is_told: bool
) -> None:
    keys = {"NSE_EQ|A": (10.0, 10.0, 375), "NSE_EQ|B": (10.0, 10.0, 375)}
    found = lines_of(keys, dict.fromkeys(keys, "not enough data"), bars_of_history=bars)
    (*_, last) = found
    # The first of 250 sessions up to 2025-06-05, counted in the exchange's list of holidays.
    sentence = f"they need 250 daily bars, from 2024-06-04 on, and have {bars} at most"
    assert (sentence in last and "setbull fetch --interval day" in last) is is_told


def test_a_single_new_listing_is_not_told_as_a_lack_of_history() -> None:
    keys = {f"NSE_EQ|{n}": (10.0, 10.0, 375) for n in range(3)}
    verdicts = dict.fromkeys(keys, "rejected") | {"NSE_EQ|0": "not enough data"}
    assert not any("filters:" in line for line in lines_of(keys, verdicts))
