"""What needs attention, when messages are sent, and in which words.

Belongs here: findings, the fold of findings into alerts, the outbox, the text of messages; all pure, with moments
passed in. Does not belong here: I/O, Dagster, a clock, sending.
"""
