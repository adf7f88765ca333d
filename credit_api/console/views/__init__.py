"""The console's pages, a module a group of pages. Handlers read, call a service and render; rules live elsewhere."""
