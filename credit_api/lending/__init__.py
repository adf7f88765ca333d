"""Pledges, decisions, loans and business days, over HTTP and at the console."""
