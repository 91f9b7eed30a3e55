"""How a list is walked to its end, by the paging family of its operation."""
