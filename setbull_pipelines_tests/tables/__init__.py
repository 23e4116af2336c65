"""Tests of the table contracts."""
