"""What plants will earn: yield, income, receivables, subsidies."""
