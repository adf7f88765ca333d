"""Model versions: what they are, who decided about them, who sees what; over HTTP and at the console."""
