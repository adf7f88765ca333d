"""Experiments: one folder a question, with its report as JSON and a README whose table is generated from it."""
