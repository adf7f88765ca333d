"""Public data as tables: CSV, XLSX, and the shape that the Climate Action Data Trust exchanges."""
