"""Table declarations. They hold integers and text; what must be true of them stands in the schema itself."""
