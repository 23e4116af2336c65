"""Columns of numbers: values, what is missing and what is no number, however their digits are grouped.

Belongs here: the decimal sign and the grouping of digits of a file. Does not belong here: which numbers a candle may
have (``candle_files.py``).

A text is read as the plain number that it is. Only where some are none, the file is asked how it writes numbers: signs
that can mean one thing only decide for those that can mean two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.raw_rows import UnreadableFile

_NUMBER = r"(?i)^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)$"
_THOUSANDS = r"^[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3})(?:\.\d+)?$"
"""With commas between groups of three, or the Indian way: 12,34,567.80."""
_DECIMAL_COMMA = r"^[+-]?(?:\d+|\d{1,3}(?:[. \x{00a0}\x{202f}']\d{3})+),\d+$"
_POINTS = r"^[+-]?\d{1,3}(?:\.\d{3})+$"
_GROUPED = r"^[+-]?\d{1,3}(?:[ \x{00a0}\x{202f}']\d{3})+(?:\.\d+)?$"
_ONE_COMMA = r"^[+-]?\d{1,3},\d{3}$"
_NOTHING = r"(?i)^(?:null|none|n\.?/?a\.?|#n/?a|\\n|[-\x{2013}\x{2014}]+|\.)$"
"""How programs write that there is no value."""
_MINUS, _THIN = r"[\x{2212}\x{fe63}\x{ff0d}]", r"[\x{2007}-\x{200a}]"
"""Signs of typography: minus, and the spaces that are narrower than others."""
_RUPEES = r"(?:\x{20b9}|(?i:rs\.?|inr))"
_CURRENCY = rf"^(?:{_RUPEES} *)?([+-]?[\d.](?:.*\d)?\.?)(?: *(?:{_RUPEES}|/-))*$"
"""A number between what says that it is money: ₹500, Rs. 500/-, 500 INR; also one that nothing says it of."""
_MONEY = rf"^{_RUPEES} *[+-]?[\d.]|\d\.? *(?:{_RUPEES}|/-)$"
_ABBREVIATED = re.compile(r"([+-]?\d[\d.,' \xa0\u202f]{0,18}?) ?([A-Za-z]+)\.?")
_EXPONENT = re.compile(r"[+-]?\d(?:\.(\d*))?[eE]\+?(\d{1,2})")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_UNITS = {
    "k": 10**3,
    **dict.fromkeys(("l", "lac", "lacs", "lakh", "lakhs"), 10**5),
    **dict.fromkeys(("m", "mn", "mln", "mio", "million", "millions"), 10**6),
    **dict.fromkeys(("cr", "crore", "crores"), 10**7),
    **dict.fromkeys(("b", "bn", "billion", "billions"), 10**9),
}
_COUNTED = ("volume", "open_interest")
"""Columns that are written short; a price of 2.5K would lose what matters of it."""


@dataclass(frozen=True)
class Numbers:
    """A numeric column: values (nan where there is none) and where they are missing or not numbers.

    With ``codes`` only the distinct texts are held, and for each row the number of its text: a tenth of the memory.
    """

    held_values: np.ndarray
    held_missing: np.ndarray
    held_not_a_number: np.ndarray
    codes: np.ndarray | None = None

    @property
    def values(self) -> np.ndarray:
        """The number of each row."""
        return self._of_rows(self.held_values)

    @property
    def missing(self) -> np.ndarray:
        """Whether each row has no value."""
        return self._of_rows(self.held_missing)

    @property
    def not_a_number(self) -> np.ndarray:
        """Whether each row has a value that is no number."""
        return self._of_rows(self.held_not_a_number)

    def values_at(self, rows: np.ndarray) -> np.ndarray:
        """The numbers of some rows."""
        return self.held_values[rows if self.codes is None else self.codes[rows]]

    def with_values(self, values: np.ndarray) -> Numbers:
        """The column with other numbers."""
        return Numbers(values, self.missing, self.not_a_number)

    def _of_rows(self, held: np.ndarray) -> np.ndarray:
        return held if self.codes is None else held[self.codes]


def read_numbers(
    columns: Mapping[str, pyarrow.ChunkedArray], reading: InputSettings
) -> tuple[dict[str, Numbers], list[str]]:
    """The columns of a file, and in words how its numbers are written where that is not plain.

    Texts are looked at once each, not once for every row that has them.
    """
    coded = {name: encoded(column) for name, column in columns.items() if _holds_texts(column)}
    plain = {
        name: pyarrow.chunked_array([coded[name].dictionary]) if name in coded else decoded(column)
        for name, column in columns.items()
    }
    trimmed = {
        name: compute.utf8_trim_whitespace(column) if name in coded else column
        for name, column in plain.items()
    }
    odd = {}
    for name in coded:
        try:
            trimmed[name] = compute.cast(trimmed[name], pyarrow.float64())
        except pyarrow.ArrowInvalid:
            odd[name] = plain[name]
    notes: list[str] = []
    if odd or reading.decimal == ",":
        # With a decimal comma, the point of a number that looks plain is no decimal sign.
        written = {name: _bare(plain[name]) for name in coded}
        if any(_matches(column, _MONEY) for column in odd.values()):
            notes.append("currency signs")
        units: dict[str, list[int]] = {}
        for name in odd:
            if name in _COUNTED:
                written[name], units[name] = _without_units(written[name])
        style = _style(written, reading)
        for name in written if style == _COMMA else odd:
            trimmed[name] = _rewritten(written[name], style) if style else written[name]
        if style and any(not trimmed[name].equals(written[name]) for name in odd):
            notes.append(style)
        for name, factors in units.items():
            if any(factors):
                trimmed[name], told = _in_full(trimmed[name], factors, coded[name], name)
                notes += told
    for name in _COUNTED:
        if name in coded:
            notes += _rounded(coded[name], name)
    short = [name for name, column in trimmed.items() if pyarrow.types.is_float32(column.type)]
    if short:
        notes.append(f"{', '.join(short)} of 32 bits as the decimals that they stand for")
    return {
        name: _of_rows(_read(name, column), coded[name].indices)
        if name in coded
        else _read(name, column)
        for name, column in trimmed.items()
    }, notes


def _of_rows(distinct: Numbers, codes: pyarrow.Array) -> Numbers:
    """The numbers of rows from those of distinct texts; a row without a text has the one after the last."""
    return Numbers(
        np.append(distinct.values, np.nan),
        np.append(distinct.missing, True),
        np.append(distinct.not_a_number, False),
        compute.fill_null(codes, len(distinct.values)).to_numpy(zero_copy_only=False),
    )


def _holds_texts(column: pyarrow.ChunkedArray) -> bool:
    kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
    return (
        is_text(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_string_view(kind)
    )


def _bare(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Texts without spaces around and without a currency; null where they say that there is nothing."""
    trimmed = compute.utf8_trim_whitespace(column)
    trimmed = compute.replace_substring_regex(trimmed, _MINUS, "-")
    trimmed = compute.replace_substring_regex(trimmed, _THIN, "\u202f")
    trimmed = compute.replace_substring_regex(trimmed, _CURRENCY, r"\1")
    is_nothing = compute.match_substring_regex(trimmed, _NOTHING)
    return compute.if_else(is_nothing, pyarrow.scalar(None, pyarrow.string()), trimmed)


def _without_units(column: pyarrow.ChunkedArray) -> tuple[pyarrow.ChunkedArray, list[int]]:
    """Counts such as 9.83M without their unit, and how many each counts; 0 for one without a unit that is known."""
    numbers, factors = [], []
    for text in column.to_pylist():
        found = _ABBREVIATED.fullmatch(text or "")
        factor = _UNITS.get(found[2].lower(), 0) if found else 0
        numbers.append(found[1].rstrip() if found and factor else text)
        factors.append(factor)
    return pyarrow.chunked_array([pyarrow.array(numbers, pyarrow.string())]), factors


def _in_full(
    column: pyarrow.ChunkedArray, factors: list[int], coded: pyarrow.DictionaryArray, name: str
) -> tuple[pyarrow.ChunkedArray, list[str]]:
    """Counts without their unit as whole numbers, and in words what was taken for what in how many rows."""
    full: list[str | None] = []
    examples: dict[str, int] = {}
    is_full = np.zeros(len(factors) + 1, bool)
    written = coded.dictionary.to_pylist()
    for place, (text, factor) in enumerate(zip(column.to_pylist(), factors, strict=True)):
        if not factor:
            full.append(text)
        elif _PLAIN.fullmatch(text):
            is_full[place] = True
            count = round(float(text) * factor)
            full.append(str(count))
            examples.setdefault(written[place].strip(), count)
        else:
            full.append(written[place])
    if not examples:
        return pyarrow.chunked_array([pyarrow.array(full, pyarrow.string())]), []
    rows = int(is_full[compute.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)].sum())
    example, number = next(iter(examples.items()))
    told = f"{rows:,} values of {name} are written short, so that they are rounded: {example} = {number:,}"
    return pyarrow.chunked_array([pyarrow.array(full, pyarrow.string())]), [told]


def _rounded(coded: pyarrow.DictionaryArray, name: str) -> list[str]:
    """In words, how many counts have an exponent that leaves digits out, as in 1.23E+08 of a spreadsheet."""
    has_exponent = compute.match_substring(coded.dictionary, "e", ignore_case=True)
    if not compute.any(has_exponent).as_py():
        return []
    examples, places = [], []
    for place in np.flatnonzero(has_exponent.to_numpy(zero_copy_only=False)):
        text = coded.dictionary[int(place)].as_py().strip()
        found = _EXPONENT.fullmatch(text)
        if found and len(found[1] or "") < int(found[2]):
            examples.append(text)
            places.append(place)
    if not examples:
        return []
    codes = compute.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    rows = int(np.isin(codes, places).sum())
    return [
        f"{rows:,} values of {name} are written with an exponent, so that they are rounded: {examples[0]} = "
        f"{float(examples[0]):,.0f}"
    ]


_COMMA, _GROUPS = "decimal comma", "thousands separators"


def _style(columns: Mapping[str, pyarrow.ChunkedArray], reading: InputSettings) -> str | None:
    """How the file writes numbers that are not plain; None for one that has none of these."""
    if reading.decimal:
        return _COMMA if reading.decimal == "," else _GROUPS
    found = pyarrow.chunked_array(
        [chunk for column in columns.values() if is_text(column.type) for chunk in column.chunks]
    )
    comma_decides = _matches(found, _DECIMAL_COMMA) - _matches(found, _ONE_COMMA)
    groups_decide = _matches(found, _THOUSANDS) - _matches(found, _ONE_COMMA)
    points = _matches(found, r"^[+-]?\d*\.\d+$")
    if comma_decides and not groups_decide and not points - _matches(found, _POINTS):
        return _COMMA
    if groups_decide or _matches(found, _GROUPED) or points:
        return _GROUPS
    if example := _first(found, _ONE_COMMA):
        raise UnreadableFile(
            f"found numbers such as {example!r}, which can be thousands or a decimal comma, expected to know: "
            '[input] decimal = "." for thousands, decimal = "," for decimals (or --decimal)',
            "ambiguous numbers",
            value=example,
            paste={"decimal": ","},
        )
    return None


def _matches(column: pyarrow.ChunkedArray, pattern: str) -> int:
    return compute.sum(compute.match_substring_regex(column, pattern)).as_py() or 0


def _first(column: pyarrow.ChunkedArray, pattern: str) -> str | None:
    matching = column.filter(compute.match_substring_regex(column, pattern))
    return matching[0].as_py() if len(matching) else None


def _rewritten(column: pyarrow.ChunkedArray, style: str) -> pyarrow.ChunkedArray:
    """Numbers of the style as plain ones; whatever is none of these stays."""
    if style == _COMMA:
        is_styled = compute.or_(
            compute.match_substring_regex(column, _DECIMAL_COMMA),
            compute.match_substring_regex(column, _POINTS),
        )
        ungrouped = compute.replace_substring_regex(column, r"[. \x{00a0}\x{202f}']", "")
        plain = compute.replace_substring(ungrouped, ",", ".")
    else:
        is_styled = compute.or_(
            compute.match_substring_regex(column, _THOUSANDS),
            compute.match_substring_regex(column, _GROUPED),
        )
        plain = compute.replace_substring_regex(column, r"[, \x{00a0}\x{202f}']", "")
    return compute.if_else(compute.fill_null(is_styled, False), plain, column)


def _read(name: str, column: pyarrow.ChunkedArray) -> Numbers:
    missing = compute.is_null(column).to_numpy(zero_copy_only=False)
    if is_text(column.type):
        is_number = compute.match_substring_regex(column, _NUMBER)
        nothing = pyarrow.scalar(None, pyarrow.string())
        read = compute.cast(compute.if_else(is_number, column, nothing), pyarrow.float64())
    elif pyarrow.types.is_float32(column.type):
        distinct = compute.dictionary_encode(column).combine_chunks()
        # As text a number of 32 bits is the shortest decimal that it stands for: 1000.62, not 1000.6199951.
        decimals = distinct.dictionary.to_numpy(zero_copy_only=False).astype("U").astype("float64")
        read = pyarrow.chunked_array([pyarrow.array(decimals).take(distinct.indices)])
    elif pyarrow.types.is_decimal(column.type):
        # By way of a text, since Arrow's own way can miss the nearest number: 2454.9500000000003 for 2454.95.
        read = compute.cast(compute.cast(column, pyarrow.string()), pyarrow.float64())
    elif pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type):
        read = compute.cast(column, pyarrow.float64(), safe=False)
    elif pyarrow.types.is_null(column.type):
        read = compute.cast(column, pyarrow.float64())
    else:
        raise UnreadableFile(f"found the column {name} of type {column.type}, expected numbers")
    not_a_number = compute.is_null(read).to_numpy(zero_copy_only=False) & ~missing
    values = compute.fill_null(read, np.nan).to_numpy()
    return Numbers(np.array(values, "float64"), missing, not_a_number)


def is_text(kind: pyarrow.DataType) -> bool:
    """Whether a column is of the one Arrow type for text, after :func:`decoded`."""
    return pyarrow.types.is_string(kind)


def decoded(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """The column without dictionary coding, and text in the one Arrow type for text."""
    if pyarrow.types.is_dictionary(column.type):
        column = compute.cast(column, column.type.value_type)
    if pyarrow.types.is_large_string(column.type) or pyarrow.types.is_string_view(column.type):
        column = compute.cast(column, pyarrow.string())
    return column


def encoded(column: pyarrow.ChunkedArray) -> pyarrow.DictionaryArray:
    """The distinct values of a column, none that no row has, and their number in each row."""
    if pyarrow.types.is_dictionary(column.type) and is_text(column.type.value_type):
        found = column.unify_dictionaries().combine_chunks()
    else:
        found = compute.dictionary_encode(decoded(column)).combine_chunks()
    if not len(found):
        return compute.dictionary_encode(pyarrow.array([], found.dictionary.type))
    codes = compute.fill_null(found.indices, -1).to_numpy(zero_copy_only=False)
    used = np.bincount(codes[codes >= 0], minlength=len(found.dictionary)) > 0
    if used.all():
        return found
    # Of a part of a column, such as the rows below a header.
    number = np.append(np.cumsum(used) - 1, -1).astype("int32")[codes]
    return pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(number, mask=codes < 0), found.dictionary.filter(pyarrow.array(used))
    )
