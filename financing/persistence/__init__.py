"""SQLModel tables, stores, the unit of work and the one writer behind every command."""
