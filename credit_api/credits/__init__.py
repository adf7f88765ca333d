"""Issued credits and what their holders do with them, over HTTP and at the console."""
