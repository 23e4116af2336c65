"""Tests of looking a data folder over."""
