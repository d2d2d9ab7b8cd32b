"""Pool strategies: one method per file, found by its name."""
