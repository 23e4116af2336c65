"""The bytes of a text file as UTF-8 in plain signs: code pages, digits of other scripts, signs that nobody sees.

Belongs here: what one sign of a text stands for, whatever column it is in. Does not belong here: separators and fields
(``delimited.py``), signs of numbers and how they are grouped (``number_columns.py``).
"""

from __future__ import annotations

import codecs
import unicodedata

from setbull_pipelines.sources.raw_rows import UnreadableFile

_SAMPLE_BYTES = 1 << 16
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ASCII = bytes(range(128))
_UNSEEN = frozenset(
    "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
"""Marks of direction and joins that come with copied texts: two symbols that look alike would be two instruments."""


def plain_text(content: bytes) -> tuple[bytes, list[str]]:
    """The text in UTF-8 and in plain signs, and in words what was done to it."""
    if not content.strip(b"\0"):
        raise UnreadableFile(
            f"found {len(content):,} bytes that are all 0, as where a machine stopped before it wrote them, expected "
            "text"
        )
    content, code_page = _as_utf8(content)
    notes = [code_page] if code_page else []
    # Only the few signs that are not ASCII, each looked at once, however large the text is.
    signs = set(content.translate(None, _ASCII).decode())
    unseen = signs & _UNSEEN
    digits = {sign: unicodedata.decimal(sign, None) for sign in signs - unseen}
    table: dict[int, str | None] = dict.fromkeys(map(ord, unseen))
    table |= {ord(sign): str(number) for sign, number in digits.items() if number is not None}
    if unseen:
        notes.append("signs that nobody sees left out")
    if len(table) > len(unseen):
        notes.append("digits of another script")
    return (content.decode().translate(table).encode() if table else content), notes


def _as_utf8(content: bytes) -> tuple[bytes, str | None]:
    """The text in UTF-8 without its mark, and the code page that it was in where that is another."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(name).encode(), name.upper()
            except UnicodeError as error:
                raise UnreadableFile(
                    f"found a text that is not whole ({error}), expected {name.upper()} as its first bytes say"
                ) from error
    content = content.removeprefix(codecs.BOM_UTF8)
    if wide := _wide_without_mark(content):
        try:
            return content.decode(wide).encode(), "UTF-16"
        except UnicodeError as error:
            raise UnreadableFile(
                f"found a text that is not whole ({error}), expected UTF-16"
            ) from error
    if content.isascii():
        return content, None
    try:
        content.decode()
        return content, None
    except UnicodeDecodeError as fault:
        if b"\0" in content[:_SAMPLE_BYTES]:
            raise UnreadableFile(
                f"found bytes that are not text ({fault}), expected CSV"
            ) from fault
        # Its five bytes without a meaning are in no text that anybody wrote.
        try:
            return content.decode("cp1252").encode(), "Windows-1252"
        except UnicodeDecodeError as error:
            raise UnreadableFile(
                f"found bytes that are not text ({error}), expected CSV in UTF-8, UTF-16 or Windows-1252"
            ) from error


def _wide_without_mark(content: bytes) -> str | None:
    """The code page of a text in which every second byte is 0, as letters and digits in UTF-16 have it."""
    begin = content[:200]
    for name, zeros, others in (
        ("utf-16-le", begin[1::2], begin[::2]),
        ("utf-16-be", begin[::2], begin[1::2]),
    ):
        if len(zeros) > 10 and zeros.count(0) > 0.9 * len(zeros) and not others.count(0):
            return name
    return None
