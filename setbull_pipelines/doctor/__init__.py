"""Checking a whole data folder: what is wrong in it, what would repair it, and repairing it where nothing is lost.

Belongs here: examinations, each of one part of the folder, and what they found. Does not belong here: the repairs
themselves, which the rooms below have, and printing.
"""
