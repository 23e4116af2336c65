"""Which instrument is meant by what a client asks for."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.api.asking import key_with_symbol
from setbull_pipelines.pipeline.instruments import NoSuchInstrument


def test_a_symbol_of_two_instruments_is_told_and_neither_is_chosen() -> None:
    instruments = pd.DataFrame(
        {
            "instrument_key": ["NSE_EQ|INE467B01029", "BSE_EQ|INE467B01029", "NSE_EQ|INE002A01018"],
            "symbol": ["TCS", "TCS", "RELIANCE"],
        }
    )
    assert key_with_symbol("reliance", instruments) == "NSE_EQ|INE002A01018"
    with pytest.raises(NoSuchInstrument, match=r"2 instruments; expected a key: NSE_EQ.*BSE_EQ"):
        key_with_symbol("TCS", instruments)
    with pytest.raises(NoSuchInstrument, match="symbol 'NOBODY' is not among the instruments"):
        key_with_symbol("NOBODY", instruments)
