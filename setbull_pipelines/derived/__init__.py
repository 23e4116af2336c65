"""What readers get and no table holds: made of stored rows when somebody asks.

Belongs here: pure functions of stored rows (bars of other lengths, the band widths of a session taken together). Does
not belong here: reading tables (``pipeline/``), what is stored and reconciled (``variants/``), Dagster, a clock.
"""
