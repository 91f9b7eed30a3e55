"""A snapshot in a local folder. Read `destination`, then `commit`: the order of its steps makes a crash harmless."""
