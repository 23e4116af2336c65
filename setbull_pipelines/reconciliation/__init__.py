"""V1 against V2: whether a computed table came out the same, and if not, where, since when, how much."""
