"""Claims of carbon neutrality and their certificates, over HTTP and at the console."""
