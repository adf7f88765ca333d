"""Methodologies: metered energy and dated parameters to a reduction that can be derived again."""
