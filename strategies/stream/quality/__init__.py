"""How good a stream's generated labels will be, and how good they turned out to be."""
