"""A grid company's own store of raw readings, outside the registry's books."""
