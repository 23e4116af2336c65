"""Thin Dagster asset checks: one per rule of ``quality/``, one verdict per trading day.

Belongs here: check definitions. Does not belong here: rules.
"""
