"""What every route shares: callers, one command pipeline, problems, feeds, tables for spreadsheets."""
