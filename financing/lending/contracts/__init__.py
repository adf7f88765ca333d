"""Contracts as cash-flow events: day counts, business days, cycles, the ACTUS contract types, rounded instalments."""
