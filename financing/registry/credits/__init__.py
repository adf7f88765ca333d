"""Issued credits: whole tonnes, carry-over, serial numbers that follow every move, and their way back."""
