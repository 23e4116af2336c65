"""A reader of the catalog in a process of its own; imports little, so that it starts at once.

Belongs here: the questions and the loop. Does not belong here: assertions, writing.
"""

from __future__ import annotations

import time
from pathlib import Path

import duckdb

# bit_xor and counts do not depend on the order of rows, so equal tables give equal answers.
QUESTIONS = (
    "SELECT trading_day, count(*), bit_xor(hash(instrument_key, timestamp, rsi)) "
    "FROM v1.indicators_5min GROUP BY trading_day ORDER BY trading_day",
    "SELECT trading_day, verdict, count(*), bit_xor(hash(instrument_key, reason)) "
    "FROM v1.filter_results GROUP BY trading_day, verdict ORDER BY trading_day, verdict",
)

Answers = tuple[tuple, ...]


def ask(connection: duckdb.DuckDBPyConnection) -> Answers:
    return tuple(tuple(connection.execute(question).fetchall()) for question in QUESTIONS)


def read_in_a_loop(path: Path, ready, stop, found) -> None:
    """Ask the catalog until told to stop, then hand over the answers with their counts."""
    answers: dict[Answers, int] = {}
    errors = []
    while not stop.is_set():
        try:
            with duckdb.connect(str(path), read_only=True) as connection:
                answer = ask(connection)
            answers[answer] = answers.get(answer, 0) + len(QUESTIONS)
        except duckdb.Error as error:
            errors.append(repr(error))
        ready.release()
        time.sleep(0.01)  # leave the processor to the writer
    found.put((answers, errors))
