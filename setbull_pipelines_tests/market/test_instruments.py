"""Instrument keys."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.market.instruments import (
    SEGMENTS,
    InstrumentKey,
    InvalidInstrumentKey,
    instrument_key,
    isin_of,
    parse_instrument_key,
)


def test_a_key_is_taken_apart_at_the_bar():
    assert parse_instrument_key("NSE_EQ|INE301A01014") == InstrumentKey("NSE_EQ", "INE301A01014")
    assert parse_instrument_key("NSE_INDEX|Nifty 50").identifier == "Nifty 50"
    assert instrument_key("NSE_EQ", "ARE&M") == "NSE_EQ|ARE&M"


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "is not SEGMENT|IDENTIFIER"),
        ("RELIANCE", "is not SEGMENT|IDENTIFIER"),
        ("NSE_EQ:RELIANCE", "is not SEGMENT|IDENTIFIER"),
        ("NSE_EQ%7CINE301A01014", "is not SEGMENT|IDENTIFIER"),
        (None, "is not SEGMENT|IDENTIFIER"),
        (float("nan"), "is not SEGMENT|IDENTIFIER"),
        ("NYSE|AAPL", "unknown segment 'NYSE'"),
        ("nse_eq|INE301A01014", "unknown segment 'nse_eq'"),
        ("NSE_EQ|", "identifier ''"),
        ("NSE_EQ| INE301A01014", "identifier ' INE301A01014'"),
        ("NSE_EQ|INE301A01014\n", "expected text without a bar"),
        ("NSE_EQ|INE301A01014|1", "identifier 'INE301A01014|1'"),
        ("NSE_EQ|A\x00B", "an identifier of 3 signs; expected at most 100, all of them readable"),
    ],
)
def test_invalid_keys_are_refused_in_one_sentence(key, complaint):
    with pytest.raises(InvalidInstrumentKey) as refusal:
        parse_instrument_key(key)
    message = str(refusal.value)
    assert complaint in message
    assert repr(key) in message
    assert "\n" not in message
    assert isinstance(refusal.value, ValueError)


def test_a_key_is_at_most_so_long_and_a_longer_one_is_shown_in_part():
    assert parse_instrument_key("NSE_EQ|" + "A" * 100).identifier == "A" * 100
    with pytest.raises(InvalidInstrumentKey, match="an identifier of 101 signs") as refusal:
        parse_instrument_key("NSE_EQ|" + "A" * 101)
    assert "A" * 34 not in str(refusal.value)


def test_a_key_is_not_built_from_parts_that_do_not_fit():
    with pytest.raises(InvalidInstrumentKey, match="unknown segment"):
        instrument_key("NASDAQ", "AAPL")
    with pytest.raises(InvalidInstrumentKey, match="without a bar"):
        instrument_key("NSE_EQ", "A|B")


@pytest.mark.parametrize(
    ("key", "isin"),
    [
        ("NSE_EQ|INE301A01014", "INE301A01014"),
        ("NSE_EQ|INE002A01018", "INE002A01018"),
        ("NSE_EQ|INE301A01015", None),  # wrong check digit
        ("NSE_EQ|NIFTY50ETF12", None),  # twelve characters of a symbol
        ("NSE_EQ|ine301a01014", None),
        ("NSE_EQ|DUMMYSAN005", None),
        ("NSE_FO|35001", None),
        ("NSE_INDEX|Nifty 50", None),
    ],
)
def test_only_an_isin_is_an_isin(key, isin):
    assert isin_of(key) == isin


def test_the_isins_of_real_keys_are_those_of_the_broker(shared_data):
    instruments = pd.read_csv(shared_data / "instruments_nse_eq.csv", dtype=str)
    found = instruments["instrument_key"].map(isin_of)
    named = instruments["isin"].str.fullmatch("IN[A-Z0-9]{10}").fillna(False).astype(bool)
    assert named.sum() > 2_700
    assert (found[named] == instruments["isin"][named]).all()
    assert found[~named].isna().all()


@given(st.sampled_from(SEGMENTS), st.from_regex(r"[A-Z0-9&.\-]{1,20}", fullmatch=True))
def test_building_and_splitting_undo_each_other(segment, identifier):
    key = instrument_key(segment, identifier)
    assert parse_instrument_key(key) == (segment, identifier)
    assert key == f"{segment}|{identifier}"
