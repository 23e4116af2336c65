"""Candles from the Upstox API: what to ask, how often, what an answer must be, and where answers are kept.

Belongs here: everything that is special to this broker. Does not belong here: judging single candles
(``sources/candle_files.py``: answers become candle files that intake reads like any other), carrying out a
fetch with its workers (``pipeline/fetching.py``).
"""
