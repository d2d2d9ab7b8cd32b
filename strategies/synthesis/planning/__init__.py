"""Whom to make new items of, how many, and the plan of each."""
