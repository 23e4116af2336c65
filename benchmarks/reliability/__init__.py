"""How often the program was broken on purpose, and what it survived: ``python -m benchmarks.reliability``.

Belongs here: harnesses whose figures stand in ``docs/reliability.md``. Does not belong here: how fast anything is
(the other modules of ``benchmarks/``).
"""
