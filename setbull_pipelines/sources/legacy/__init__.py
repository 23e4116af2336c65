"""The tables of the system that this one replaces: reading them once, and making input files of them.

Belongs here: the old tables, their dumps, exports and live database, the resumable export, the files that intake reads.
Does not belong here: holding old results against V1 (``reconciliation/``, ``pipeline/``), printing (``cli/``).

Nothing is written to the old system: files are opened for reading, a database is asked in a read-only transaction.
"""
