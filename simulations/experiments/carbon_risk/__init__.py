"""What carbon collateral may lose: price models beside the record, derived haircuts, a loan book, stress."""
