"""The order book: orders, instruments, blocks and market data, over HTTP and at the console."""
