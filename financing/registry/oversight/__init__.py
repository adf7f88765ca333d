"""Freezing, suspending, revoking, and the guard against claiming the same reduction twice."""
