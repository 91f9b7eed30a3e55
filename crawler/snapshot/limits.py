"""The bounds on files and folders of an output, so that reading any of them takes bounded memory.

Each is several times larger than a crawl of a thousand accounts needs. A crawl refuses to commit a larger manifest.
"""

from __future__ import annotations

# LATEST has a line with an ID; the file next to a manifest has a line with a hash and a name.
LINE_BYTES = 1024
MANIFEST_BYTES = 256 * 1024 * 1024
LEDGER_BYTES = 256 * 1024 * 1024
LEDGER_UNCOMPRESSED_BYTES = 4 * 1024 * 1024 * 1024
LEDGER_ROWS = 5_000_000
JOURNAL_BYTES = 2 * 1024 * 1024 * 1024
NOTE_BYTES = 1024 * 1024
TEXT_CHARACTERS = 64 * 1024
TABLES = 10_000
FOLDER_NAMES = 1_000_000
# A snapshot's own folders are six levels deep under the staging folder.
FOLDER_DEPTH = 64
