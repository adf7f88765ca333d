"""A loan's life: its events, and the columns that follow from them."""
