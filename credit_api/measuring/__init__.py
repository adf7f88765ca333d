"""Methodologies, plants, meters and verification, over HTTP and at the console."""
