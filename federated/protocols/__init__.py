"""Training: Flower apps of banks, grid companies and the network operator, and the strategies between them."""
