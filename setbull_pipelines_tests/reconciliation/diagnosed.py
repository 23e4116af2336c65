"""The names of causes that a diagnosis finds."""

from __future__ import annotations


def named(comparison) -> dict[str, str]:
    """Name of the diagnosis by column."""
    return {
        column: row.diagnosis
        for row in comparison.diagnoses.itertuples()
        for column in row.column_names.split(",")
    }
