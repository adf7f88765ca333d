"""Trade beside the order book: offers, listings, deals, quotes."""
