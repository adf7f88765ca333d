"""Which model versions there are, who decided what about them, and what their scores show."""
