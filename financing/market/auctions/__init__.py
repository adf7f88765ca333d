"""Auctions of credits: English, sealed first-price, Vickrey, uniform-price multi-unit and Dutch."""
