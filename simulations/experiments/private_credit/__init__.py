"""What record-level differential privacy costs, and what it stops, on real and generated rows."""
