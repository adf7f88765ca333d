"""Prices and deposits, over HTTP and at the console."""
