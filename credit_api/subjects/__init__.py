"""What a firm knows and does about itself, over HTTP and at the console."""
