"""Putting the service together: settings, database, parts, the application, its documents."""
