"""Moments that tests share.

Belongs here: moments. Does not belong here: a clock.
"""

from datetime import UTC, datetime

LATER = datetime(2027, 1, 4, tzinfo=UTC)
"""When every session that the tests have candles of was over."""
