"""Alignment: private set intersection between a bank and a grid company, over consented customers only."""
