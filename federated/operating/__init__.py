"""The network operator's own process: it trains nodes that run elsewhere, registers, and hands versions over."""
