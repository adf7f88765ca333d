"""How networks of several nodes become one: what the operator averages, and what each node minimises meanwhile."""
