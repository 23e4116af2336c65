"""The answer of a day: who is in the lists, for how long, and who is no longer."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.reporting.answer import Answer, answer_of, ordinal

BULLISH, BEARISH = "bullish", "bearish"


def answered(today: dict[str, str], *earlier: dict[str, str]) -> Answer:
    rows = pd.DataFrame(
        [(key, f"S{key}", verdict, 3, f"why {key}") for key, verdict in today.items()],
        columns=["instrument_key", "symbol", "verdict", "mamba_count", "reason"],
    )
    return answer_of(rows, {f"2026-06-{day:02}": lists for day, lists in enumerate(earlier, 1)})


def words(answer: Answer, verdict: str = BULLISH) -> dict[str, str]:
    return {row.symbol: row.words for row in answer.standings[verdict]}


def test_a_stock_is_new_when_it_was_in_no_list_on_the_session_before() -> None:
    answer = answered({"A": BULLISH, "B": BULLISH}, {"A": BULLISH}, {"B": BULLISH})
    assert words(answer) == {"SA": "new", "SB": "2nd day"}
    assert (answer.new, answer.before) == (1, "2026-06-02")


def test_days_in_a_row_are_counted_in_the_same_list() -> None:
    was = [{"A": BULLISH}, {}, {"A": BEARISH, "B": BEARISH}, {"A": BULLISH, "B": BEARISH}]
    answer = answered({"A": BULLISH, "B": BULLISH}, *was)
    assert words(answer) == {"SA": "2nd day", "SB": "moved over from the other list"}
    assert answer.new == 0


def test_of_the_first_session_nobody_knows_since_when() -> None:
    answer = answered({"A": BULLISH})
    assert words(answer) == {"SA": "1st day or more"}
    assert (answer.new, answer.before, list(answer.dropped)) == (0, None, [])
    later = answered({"A": BULLISH}, {"A": BULLISH}, {"A": BULLISH})
    assert words(later) == {"SA": "3rd day or more"}


def test_who_passed_before_and_does_not_now_is_dropped_with_the_reason() -> None:
    answer = answered({"A": "rejected", "B": BEARISH}, {"A": BULLISH, "B": BULLISH, "C": BEARISH})
    assert [(row.key, row.symbol, row.was, row.reason) for row in answer.dropped] == [
        ("A", "SA", BULLISH, "why A"),
        ("C", "C", BEARISH, "has no row on this day"),
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th")),
        *((13, "13th"), (21, "21st"), (42, "42nd"), (103, "103rd"), (111, "111th")),
    ],
)
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text


def test_the_answer_as_text_says_what_the_page_says() -> None:
    answer = answered({"A": BULLISH, "B": BEARISH, "C": "rejected"}, {"A": BULLISH, "C": BEARISH})
    assert answer.headline == "2 of 3 stocks passed: 1 new, 1 dropped since 2026-06-01"
    assert answer.lines == [
        answer.headline,
        "",
        "bullish: 1",
        "  SA, 2nd day or more",
        "",
        "bearish: 1",
        "  SB, new",
        "",
        "dropped since 2026-06-01: 1",
        "  SC, was bearish: why C",
    ]
    assert answered({"A": BULLISH}).lines[0] == "1 of 1 stocks passed"
    assert "dropped" not in "".join(answered({"A": BULLISH}).lines)
