"""Banks that poison a horizontal run, with and without robust aggregation."""
