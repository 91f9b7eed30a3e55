"""Changes the emulated cloud from day to day. Read `days`, then `rules` (lists, fields) and `values` (new values)."""
