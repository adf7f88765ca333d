"""The HTTP service, the operators' console and the `tanxin` command: the one place where the parts meet."""
