"""Participants and how they come in: admission, keys, signing in."""
