"""A crawl that several processes share: the files that they write for each other. Read `store`, `lease`, `runs`."""
