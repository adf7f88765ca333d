"""Pledge, coverage, margin call, release, disposal and waterfall."""
