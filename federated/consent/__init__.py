"""Consent: what a subject allowed, for how long, and the check that every node makes before it touches data."""
