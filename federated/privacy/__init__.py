"""Privacy mechanisms. Each module states its guarantee, against whom, and what is left visible."""
