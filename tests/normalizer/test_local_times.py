"""Local times with the name of their zone beside them are instants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog.columns import build_columns
from crawler.errors import CatalogError
from crawler.normalizer.local_times import with_offsets


def offset_of(local, zone, **more):
    record = {"startTime": local, "timeZone": zone, **more}
    changed = with_offsets(record, {"startTime": "timeZone"})
    assert {name: value for name, value in changed.items() if name != "startTime"} == {"timeZone": zone, **more}
    return None if changed["startTime"] == local else changed["startTime"].removeprefix(local.strip())


@pytest.mark.parametrize(
    ("local", "zone", "offset"),
    [
        ("2030-10-10T10:10:10", "Asia/Shanghai", "+08:00"),
        ("2030-10-10 10:10:10.5", "Asia/Shanghai", "+08:00"),
        (" 2030-10-10T10:10:10 ", " Asia/Shanghai ", "+08:00"),
        ("2030-07-01T00:00:00", "Europe/Berlin", "+02:00"),
        ("2030-01-01T00:00:00", "America/St_Johns", "-03:30"),
        ("2030-01-01T00:00:00", "UTC", "+00:00"),
        ("2030-01-01T00:00:00", "Asia/Kathmandu", "+05:45"),
    ],
)
def test_a_local_time_gets_the_offset_of_its_zone_on_that_day(local, zone, offset):
    assert offset_of(local, zone) == offset


@pytest.mark.parametrize(
    ("local", "zone"),
    [
        ("2030-10-10T10:10:10Z", "Asia/Shanghai"),
        ("2030-10-10T10:10:10+02:00", "Asia/Shanghai"),
        ("2030-02-30T10:10:10", "Asia/Shanghai"),
        ("0001-01-01T00:00:00", "Asia/Shanghai"),
        ("1893416400000", "Asia/Shanghai"),
        ("", "Asia/Shanghai"),
        ("2030-10-10T10:10:10", ""),
        ("2030-10-10T10:10:10", "Mars/Olympus"),
        ("2030-10-10T10:10:10", "../../etc/passwd"),
        ("2030-10-10T10:10:10", "/etc/localtime"),
        ("2030-10-10T10:10:10", "Asia"),
        ("2030-10-10T10:10:10", "A" * 100_000),
        ("2030-10-10T10:10:10", None),
        ("2030-10-10T10:10:10", 8),
        ("2030-10-27T02:30:00", "Europe/Berlin"),  # twice: the clocks are set back at three
        ("2030-03-31T02:30:00", "Europe/Berlin"),  # never: they are set forward at two
        ("1900-01-01T00:00:00", "Asia/Shanghai"),  # an offset with seconds
    ],
)
def test_a_time_whose_instant_is_not_certain_stays_as_it_is(local, zone):
    assert offset_of(local, zone) is None


def test_names_have_either_case_of_their_first_letter():
    record = {"StartTime": "2030-10-10T10:10:10", "TimeZone": "Asia/Shanghai"}
    assert with_offsets(record, {"startTime": "timeZone"})["StartTime"] == "2030-10-10T10:10:10+08:00"
    assert record["StartTime"] == "2030-10-10T10:10:10", "the record itself stays as it was received"


@given(st.text() | st.integers() | st.none() | st.lists(st.text()), st.text() | st.integers() | st.none())
def test_anything_beside_anything_raises_nothing(local, zone):
    record = {"startTime": local, "timeZone": zone}
    assert with_offsets(record, {"startTime": "timeZone"}).keys() == record.keys()


@pytest.mark.parametrize("beside", [{}, {"timeZone": "integer"}, {"TimeZone": "string"}])
def test_a_schema_file_names_a_string_beside_the_time(beside):
    with pytest.raises(CatalogError, match="as its time zone, which is not a string beside it"):
        build_columns({"policies": [{"at": "timestamp(in timeZone)", **beside}]}, {}, where="x.toml")
    [column] = build_columns({"p": {"at": "timestamp(in timeZone)", "timeZone": "string"}}, {}, where="x.toml")
    assert [child.type_text for child in column.children] == ["timestamp(in timeZone)", "string"]
