"""Whether rows are in the order of their key already.

Belongs here: looking at rows. Does not belong here: sorting them, which a table does where they are not (``contract``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute


def in_order(frame: pd.DataFrame, names: Sequence[str]) -> bool:
    """Whether sorting the rows by these columns, equal ones in the order they have, would move none.

    False as well where that is not known: of values that are missing, and of types that no key has.
    """
    if len(frame) < 2:
        return True
    undecided = np.ones(len(frame) - 1, bool)
    for name in names:
        pairs = _neighbours(frame[name])
        if pairs is None:
            return False
        falls, equals = pairs
        if (falls & undecided).any():
            return False
        undecided &= equals
        if not undecided.any():
            return True
    return True


def _neighbours(values: pd.Series) -> tuple[np.ndarray, np.ndarray] | None:
    """Whether each value but the last is above the next one, and whether it equals it."""
    if isinstance(values.dtype, pd.StringDtype):
        texts = pyarrow.chunked_array(pyarrow.array(values.array))
        if texts.num_chunks != 1 or texts.null_count:
            return None  # sorting brings chunks together, and each chunk costs in every later use
        first, second = texts.chunk(0)[:-1], texts.chunk(0)[1:]
        return (
            pyarrow.compute.greater(first, second).to_numpy(zero_copy_only=False),
            pyarrow.compute.equal(first, second).to_numpy(zero_copy_only=False),
        )
    if values.dtype.kind == "M":
        numbers = values.array.asi8
        if (numbers == pd.NaT.value).any():
            return None
    elif values.dtype == np.int64:
        numbers = values.to_numpy()
    else:
        return None
    return numbers[:-1] > numbers[1:], numbers[:-1] == numbers[1:]
