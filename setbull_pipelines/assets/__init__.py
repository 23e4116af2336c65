"""Thin Dagster assets: name, partitions, metadata, and one call into the floors below.

Belongs here: asset definitions and their metadata. Does not belong here: computing, SQL, pandas reshaping.
"""
