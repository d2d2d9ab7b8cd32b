"""Query strategies: which items to ask a person about next, as functions over arrays."""
