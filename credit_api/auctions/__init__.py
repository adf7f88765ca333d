"""Auctions and the contracts they end in, over HTTP and at the console."""
