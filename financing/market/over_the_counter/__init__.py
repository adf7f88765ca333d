"""Trade beside the order book: listings, deals, quotes."""
