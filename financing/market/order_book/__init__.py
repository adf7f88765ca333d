"""The order book: its rules in `engine`, its journal, and what members and the exchange do with it."""
