"""Export tables of a snapshot as CSV, JSON lines, Excel or Parquet files. Read `exporter` first.

`selection` chooses tables, columns and rows, `files` and `workbook` write the formats, `cell_text` renders values as
text, `atomic_files` gives a file its name only when it is complete.
"""
