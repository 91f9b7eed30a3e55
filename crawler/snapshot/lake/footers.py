"""The statistics of parts that this process didn't write, such as those of another's crawl: from the footers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.errors import OutputError
from crawler.local_files import reason_of
from crawler.snapshot.object_store import ObjectStore
from crawler.snapshot.reader import Folder
from crawler.snapshot.rows.statistics import PartStatistics, statistics_of
from crawler.snapshot.s3.connection import wait_for

if TYPE_CHECKING:
    from crawler.snapshot.lake.base import LakeSettings
    from crawler.snapshot.manifest import PartFile

# The footer of most parts, in one request.
_TAIL_BYTES = 64 * 1024
# The length of the footer and the magic number, at the end of a Parquet file.
_END_BYTES = 8


def read_statistics(settings: LakeSettings, file: PartFile) -> PartStatistics:
    """Read the footer of a part in an output. Raises OutputError if it can't be read, or isn't the manifest's file."""
    root = settings.root
    try:
        if isinstance(root, Path):
            with Folder(root).opened(file.path) as opened:
                found = statistics_of(pq.read_metadata(opened))
        else:
            store = ObjectStore(root, settings.keys)
            found = statistics_of(pq.read_metadata(pa.BufferReader(_tail(store, file))))
    except OSError as error:
        raise OutputError(f"can't read {file.path}: {reason_of(error)}") from error
    except pa.ArrowException as error:
        raise _changed(file) from error
    if found.rows != file.rows:
        raise _changed(file)
    return found


def _tail(store: ObjectStore, file: PartFile) -> bytes:
    """Return the end of a file, with its footer. Readers take it for the file: a footer is found from the end."""
    tail = _read_end(store, file, min(file.bytes, _TAIL_BYTES))
    wanted = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    return tail if wanted <= len(tail) else _read_end(store, file, min(file.bytes, wanted))


def _read_end(store: ObjectStore, file: PartFile, length: int) -> bytes:
    return wait_for(store.read_range(file.path, file.bytes - length, length)).data


def _changed(file: PartFile) -> OutputError:
    return OutputError(f"{file.path} isn't what its manifest names: it was changed or damaged after its commit")
