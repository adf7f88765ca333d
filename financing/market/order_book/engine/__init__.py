"""The order book: a deterministic engine of integer lots and prices. Numbers and times come in with each command."""
