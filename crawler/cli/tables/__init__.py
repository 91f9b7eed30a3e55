"""The command `tables`: the list of all tables, and the description of one."""
