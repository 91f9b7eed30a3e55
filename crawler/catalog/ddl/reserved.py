"""Names that SQL dialects reserve, and the quoting of identifiers."""

from __future__ import annotations

import re

# The union over the dialects: a quoted name means the same as a plain one wherever it isn't reserved.
_WORDS = """
accessible add admin aggregate all alter analyser analyze and anti any array as asc asensitive assert_rows_modified
at authorization before between bigint binary bitmap blob boolean both bucket buckets by cache call cascade case
cast catalog change char character check cluster clustered collate collation collections column columns comment
commit compact compaction compute condition conf connect constraint contains continue convert create cross cube
current current_catalog current_date current_path current_role current_schema current_time current_timestamp
current_user cursor data database databases date datetime day day_hour day_microsecond day_minute day_second
deallocate dec decimal decimal128 decimal32 decimal64 decimalv2 declare decode default deferred define delayed
delete delimited dense_rank desc describe deterministic distinct distinctrow distribute distributed div double drop
dual each else elseif empty enclosed end enum escape escaped except exchange exclude execute exists exit explain
extended external extract false fetch filter first first_value float float4 float8 floor following for force foreign
format formatted from full fulltext function general generated get global grant group grouping grouping_id groups
hash having high_priority hll host hour hour_microsecond hour_minute hour_second if ignore ignore_server_ids ilike
immediate import in index infile inner inout insensitive insert int int1 int2 int3 int4 int8 integer intersect
interval into io_after_gtids io_before_gtids is iterate join json json_array json_arrayagg json_exists json_object
json_objectagg json_query json_table json_value key keys kill lag largeint last last_value lateral lead leading
leave left less library like limit linear lines list listagg load local localtime localtimestamp location lock long
longblob longtext lookup loop low_priority macro map master_bind master_heartbeat_period
master_ssl_verify_server_cert match maxvalue mediumblob mediumint mediumtext merge middleint minus minute
minute_microsecond minute_second mod modifies month more natural new no no_write_to_binlog none normalize not ntile
null nulls number numeric of offline on online only optimize optimizer_costs option optionally or order out outer
outfile over overlaps overwrite partition partitions percent percent_rank percentile position preceding precision
prepare preserve primary procedure proto purge qualify range rank read read_write reads real recover recursive
reduce references refresh regexp release rename repeat replace require resignal respect restrict return revoke right
rlike role rollback rollup row row_number rows schema schemas second second_microsecond select semi sensitive
separator session_user set set_var sets show signal skip smallint some spatial specific sql sql_big_result
sql_calc_found_rows sql_small_result sqlexception sqlstate sqlwarning ssl start starting statistics stored
straight_join string struct symmetric system system_user table tables tablesample temporary terminated text then
time timestamp tinyblob tinyint tinytext to trailing treat trigger trim true truncate type uescape unbounded undo
unescape union unique uniquejoin unlock unnest unset unsigned update usage use user using utc_date utc_time
utc_timestamp value values varbinary varchar varcharacter variant varying view virtual when where while window with
within without write xor year year_month zerofill
"""
RESERVED = frozenset(_WORDS.split())
_PLAIN = re.compile(r"[a-z][a-z0-9_]*")


def quoted(name: str, quote: str) -> str:
    """Return a name as an identifier: between `quote` where a dialect reserves it, or where it isn't a plain word."""
    if _PLAIN.fullmatch(name) and name not in RESERVED:
        return name
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"
