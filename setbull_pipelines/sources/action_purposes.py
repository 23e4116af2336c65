"""The purposes of an exchange's list of corporate actions: which texts change the number of shares, and how.

Belongs here: the grammar of ``PURPOSE`` (NSE) and ``Purpose`` (BSE). Does not belong here: columns and dates
(``action_layouts.py``), rows that state a kind and a ratio themselves (``corporate_files.py``).

A text is read as a whole or not at all: where one of its parts may move prices and cannot be read, nothing counts.
"""

from __future__ import annotations

import re
from fractions import Fraction

from setbull_pipelines.tables.actions import BONUS, SPLIT

_PARTS = re.compile(r"/(?!-)|;|\+|&|\band\b|\n", re.IGNORECASE)
"""What stands between two actions; the slash of "10/-" does not."""
_NUMBER = r"(\d{1,6}(?:\.\d{1,4})?)"
_RUPEES = rf"(?:r[se]\.?|inr|₹)?\s*{_NUMBER}\s*(?:/-)?"
_BONUS = re.compile(
    r"bonus(?: issue| shares?)?(?: in the ratio)?(?: of)?\s*[-:]?\s*"
    rf"{_NUMBER}\s*:\s*{_NUMBER}"
)
_SPLIT_WORDS = (
    r"(?:(?:face\s*valu[es]|fv|stock|share)\s*(?:split(?:ting)?|splt|sub-?\s?division|consolidation)|"
    r"sub-?\s?division|consolidation)"
)
_EACH = r"(?:\s*per(?:\s*share)?)?"
_SPLIT = re.compile(
    rf"{_SPLIT_WORDS}(?:\s*\((?:sub-?\s?division|consolidation)\))?(?:\s+of\s+(?:equity\s+)?shares?)?"
    rf"\s*[-:]?\s*(?:from|frm)?\s*-?\s*{_RUPEES}{_EACH}\s*(?:to|-)\s*{_RUPEES}{_EACH}"
)
_REMARK = re.compile(r"\([^()]*revised\)")
_MOVES_NO_PRICE = re.compile(
    r"\bdiv(?:i?dends?)?\b|\bmeet(?:ing|ig|ng)\b|\b[ae]\.?g\.?m\b|\bpostal ballot\b|\be-voting\b|\binterest\b|"
    r"\bredemption\b|\bbuy\s?-?\s?back\b|\bbook closure\b|\bdistribution\b|\bresults?\b|\belection\b|"
    r"^(?:per )?sh(?:are)?$"
)
"""As the exchanges write them, slips of the pen included. The last is what a slash leaves of "Rs 2/Sh"."""
_MAY_MOVE_PRICES = re.compile(
    r"bonus|spli?t|rights?\b|merger|spin|consolidat|sub-?\s?div|reduction|arr?angement|amalgam|distribution of"
)


class UnreadablePurpose(ValueError):
    """A purpose that may change prices and does not say by how much; the message says what was expected."""


def share_actions(purpose: str) -> list[tuple[str, float]]:
    """Kind and ratio (new shares per old share) of what a purpose says; none for dividends, meetings and the like.

    Raises :class:`UnreadablePurpose` for everything else, so that nothing is guessed.
    """
    found: dict[str, float] = {}
    for part in _PARTS.split(purpose):
        text = " ".join(_REMARK.sub("", part.lower()).split()).strip(" .,")
        if not text:
            continue
        kind, ratio = _read(text)
        if kind is None:
            continue
        if kind in found:
            raise UnreadablePurpose(f"one {kind} a day")
        found[kind] = ratio
    return list(found.items())


def _read(text: str) -> tuple[str | None, float]:
    try:
        if match := _BONUS.fullmatch(text):
            new, held = map(Fraction, match.groups())
            return BONUS, float((new + held) / held)
        if match := _SPLIT.fullmatch(text):
            before, after = map(Fraction, match.groups())
            return SPLIT, float(before / after)
    except ZeroDivisionError:
        raise UnreadablePurpose("a ratio without 0") from None
    if _MOVES_NO_PRICE.search(text) and not _MAY_MOVE_PRICES.search(text):
        return None, 1.0
    if re.search(r"\brights?\b", text):
        raise UnreadablePurpose(
            "a ratio: what rights are worth depends on the close before; state it as kind rights"
        )
    raise UnreadablePurpose(
        "a bonus as 'Bonus 1:1', a split as 'Face Value Split - From Rs 10/- To Rs 2/-', or what moves no price, such "
        "as a dividend"
    )
