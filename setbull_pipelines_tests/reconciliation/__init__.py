"""Tests of reconciliation/."""
