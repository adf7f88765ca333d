"""Columns, the writer with group commit, answers remembered by key, bulk statements."""
