"""Monitoring periods, findings, statements, and who may sign them."""
