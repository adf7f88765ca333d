"""Trading rules: bilateral offers and their settlement terms."""
