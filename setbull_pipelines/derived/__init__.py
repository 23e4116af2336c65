"""What readers get although no table holds it: computed from stored rows on request.

Belongs here: pure functions of stored rows (bars of other lengths, the band widths of a session taken together). Does
not belong here: reading tables (``pipeline/``), what is stored and reconciled (``variants/``), Dagster, a clock.
"""
