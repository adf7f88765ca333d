"""Prices as they were observed, and what of them may be used."""
