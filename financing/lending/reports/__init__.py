"""What a bank reports of its loans and its side of the ledger."""
