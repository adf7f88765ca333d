"""Price observations, marks and the lendable value of a pool; a missing price is Unpriced, never zero."""
