"""The `tanxin` command, a module a group of commands."""
