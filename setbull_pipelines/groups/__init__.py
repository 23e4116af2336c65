"""The execution plan of stock groups, computed from candles and indicators.

Belongs here: prices of entries, stops and levels, quantities, and the reasons where there are none. Does not belong
here: reading the groups (``sources/group_files.py``), tables and publication (``pipeline/``), orders, Dagster, a clock.
"""
