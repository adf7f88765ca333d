"""Interval readings of a meter: validation, plausibility, conservative gap filling, commitment."""
