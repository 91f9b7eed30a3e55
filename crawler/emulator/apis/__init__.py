"""The operations of the emulated products. Read `operation` first; `operations` collects those of all products."""
