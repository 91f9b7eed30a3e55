"""Facts in comments of the SDKs: bounds, allowed values, units, forms of time."""

from __future__ import annotations

import pytest

from crawler.catalog.scaffold.comments import allowed_values, description, is_json_text, maximum, time_form, unit


@pytest.mark.parametrize(
    ("comment", "bound"),
    [
        ("The number of entries. Valid values: 1 to 100. Default value: 20.", 100),
        ("Valid values: **1** to **1,000**. Default value: **100**.", 1000),
        ("Default value: 20. Maximum value: 50. The number of results.", 50),
        ("The maximum value is 100.", 100),
        ("Valid values: 10 to 100. Default value: 20.", 100),
        ("Value range: \\[1, 50].", 50),
        ("Valid values: [1-100]", 100),
        ("The page size. Valid values:\n\n*   **30** (default)\n*   **50**\n*   **100**", 100),
        ("Valid values: **30**, **50**, and **100**. Default value: **30**.", 100),
        ("The value cannot exceed 200.", 200),
        ("分页大小，取值范围：1~50。", 50),
        ("最大值：100", 100),
        ("The number of entries per page. Default value: 10.", 0),
        ("The maximum number of entries per page.", 0),
        ("The number of bytes. Valid values: 1 to 99999999.", 0),
        ("", 0),
    ],
)
def test_a_bound_is_the_largest_allowed_number(comment, bound):
    assert maximum(comment) == bound


@pytest.mark.parametrize(
    ("comment", "values"),
    [
        ("The status. Valid values: Running, Stopped.", ("Running", "Stopped")),
        ("The status. Valid values: `Running` and `Stopped`", ("Running", "Stopped")),
        (
            "The type. Valid values:\n\n- **PayByTraffic**: by traffic.\n- **PayByBandwidth**: flat.",
            ("PayByTraffic", "PayByBandwidth"),
        ),
        ("Valid values:\n*   IPv4 (default)\n*   DualStack\n\nMore prose here.", ("IPv4", "DualStack")),
        ("Valid values: 1 to 100.", ()),
        ("Valid values: any name that the user likes, and more.", ()),
        ("The name.", ()),
        ("Valid values: a, b, c, d, e, f, g, h, i", ()),
    ],
)
def test_allowed_values_are_a_list_of_plain_words(comment, values):
    assert allowed_values(comment) == values


def test_a_description_is_made_of_values_only():
    assert description("Why it is. Valid values: Running, Stopped, Deleted.") == "Running, Stopped or Deleted"
    assert description("Why it is.") == ""
    assert description(f"Valid values: {'a' * 39}, {'b' * 39}, {'c' * 39}.") == ""


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("The memory. Unit: MB.", "MB"),
        ("The size. Unit: **GiB**.", "GiB"),
        ("The period. Unit: seconds.", "s"),
        ("The CPU, in vCPUs. The ratio to memory (in GB) is fixed.", "vCPU"),
        ("The unit is milliseconds.", "ms"),
        ("The peak bandwidth. Unit: Mbit/s.", "Mbit/s"),
        ("The computing resources in logical compute units (LCUs).", ""),
        ("The number of units.", ""),
    ],
)
def test_a_unit_is_named(comment, expected):
    assert unit(comment) == expected


@pytest.mark.parametrize(
    ("comment", "form"),
    [
        ("The time in the ISO 8601 standard in the `yyyy-MM-ddTHH:mm:ssZ` format. The time is in UTC.", "iso"),
        ("A UNIX timestamp. Unit: milliseconds.", "ms"),
        ("The UNIX timestamp. Unit: seconds.", "s"),
        ("The UNIX timestamp when it was created.", ""),
        ("The time when it was created.", ""),
    ],
)
def test_the_form_of_a_time_is_named(comment, form):
    assert time_form(comment) == form


def test_json_in_a_text_is_named():
    assert is_json_text("The policy, a JSON string.")
    assert not is_json_text("The policy.")


def test_a_long_comment_takes_no_long_time():
    for part in ("Valid values: 1", "maximum value of ", "**[", "<" * 50, "Valid values:\n- a\n"):
        comment = part * 20_000
        assert maximum(comment) >= 0
        assert len(allowed_values(comment)) <= 8
        assert unit(comment) == time_form(comment) == ""
