"""Frames as pictures and as short text tables, small enough for an event log.

Belongs here: drawing of stored frames, pure and without a clock; the same frames give the same bytes. Does not belong
here: choosing or reading what is drawn, where a picture is shown, the pages of the daily report.
"""
