"""Trade beside the order book: listings, deals, quotes and auctions, over HTTP and at the console."""
