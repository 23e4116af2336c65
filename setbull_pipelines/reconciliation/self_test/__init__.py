"""The standing proof that a wrong V2 is caught and its cause named: mutants of V2 on a small sample market."""
