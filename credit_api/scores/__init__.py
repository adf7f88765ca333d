"""Consents and score inquiries, over HTTP and at the console."""
