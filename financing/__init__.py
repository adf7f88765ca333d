"""The asset's story: meter reading, credit, holding, pledge, loan, margin call, retirement."""
