"""What people do with snapshots: ask in SQL, compare two, take a table along, read a report.

Everything here reads by the manifest, so that nobody sees half a snapshot, and nothing here writes into the output.
Reading order: `opened` · `query`, `diff`, `export`, `report`.
"""
