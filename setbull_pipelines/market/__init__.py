"""What the market is: its trading days and sessions, and how its instruments are named."""
