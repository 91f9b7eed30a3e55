"""Random rows of a ledger, and rows as the ledger of a snapshot."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from crawler.snapshot import ScopeRow, Status, StoredLedger
from crawler.snapshot.ledger import ledger_batch

START = datetime(2026, 11, 22, 2, tzinfo=UTC)
instants = st.none() | st.integers(0, 10**15).map(lambda us: START + timedelta(microseconds=us))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
rows = st.builds(
    ScopeRow,
    st.sampled_from(["1000000000000001", "1000000000000002"]),
    st.sampled_from(["cn-hangzhou", "cn-shanghai", "ap-southeast-1"]),
    st.sampled_from(["fc_functions", "fc_layers", "fc2_services"]),
    st.sampled_from(Status),
    written=st.booleans(),
    rows=st.integers(0, 2**62),
    requests=st.integers(0, 9),
    retries=st.integers(0, 9),
    throttled=st.integers(0, 9),
    walk=texts,
    error_message=texts,
    started_at=instants,
    finished_at=instants,
)


def scope_of(row):
    return row.table, row.account_id, row.region_id


def stored(rows, group_rows=7, **options):
    """Return the rows, which are in order, as a stored ledger with row groups of this many rows."""
    content = io.BytesIO()
    pq.write_table(pa.Table.from_batches([ledger_batch(rows)]), content, row_group_size=group_rows, **options)
    return StoredLedger(io.BytesIO(content.getvalue()), "x")
