"""Looking a whole data folder over: what is wrong in it, what would mend it, and mending it where that loses nothing.

Belongs here: examinations, each of one part of the folder, and what they found. Does not belong here: the repairs
themselves, which the rooms below have, and printing.
"""
