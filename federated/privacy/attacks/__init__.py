"""Attacks as code: what a curious party could make of what it sees, tried on the very vectors that it sees."""
