"""Retirement and cancellation: credits that are used and never move again."""
