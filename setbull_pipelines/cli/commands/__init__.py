"""One module for each verb of ``setbull``: its options, and the order of what it does.

Belongs here: options, help, calling the work. Does not belong here: the work and its sentences (the modules in
``cli/``), ending with an error (``cli/ending.py``). The work is imported when a command is called, since ``setbull
--help`` reads all modules here.
"""
