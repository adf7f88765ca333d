"""Packages: many small issuances as one kind of unit, and the look through it."""
