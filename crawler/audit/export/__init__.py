"""Tables of a snapshot as CSV, JSON lines, Excel or Parquet files.

Read `exporter` first. `selection` is the chosen tables and rows, `files` and `workbook` are the formats,
`cell_text` renders a value as text, `atomic_files` makes a file visible only when it is whole.
"""
