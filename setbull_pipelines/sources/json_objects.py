"""Objects of JSON as dictionaries, and what is lost by that.

Belongs here: names that come twice, texts that no file can hold. Does not belong here: finding tables
(``json_rows.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import Any


class KeptOfTwo:
    """Makes dictionaries of objects, and notes names that one has twice: the last value counts."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            self.names.update(name for name, count in counts.items() if count > 1)
        return found

    @property
    def told(self) -> str:
        """What is to be known of them."""
        (name, count), *others = self.names.most_common()
        more = f" and {len(others)} more names" if others else ""
        times = "1 object has" if count == 1 else f"{count:,} objects have"
        return f"{times} {readable(name)[:50]!r} twice{more}: the last value counts"


def readable(text: str) -> str:
    """Half of a surrogate pair, which JSON can hold and no file, becomes the mark for what cannot be read."""
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
