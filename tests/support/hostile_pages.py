"""Pages of snapshots in which all text from outside tries to become markup or a script (T25)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from crawler.audit.report import make_report
from crawler.snapshot import DirectoryEntry, Status
from crawler.snapshot.manifest import SkippedMember
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, SNAPSHOT, START, write

BEFORE = "20261120T020000Z-00aa"

# Texts that are dangerous if a page takes them for markup.
PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>alert(1)</script>-->",
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</td></tr></table><iframe srcdoc='<script>alert(1)</script>'>",
    "</style><style>*{background:url(https://evil.example/css)}</style>",
    "</title><base href=https://evil.example/>",
    '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
    "<a href=javascript:alert(1)>x</a>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "`;alert(1);//",
    "&lt;img src=x onerror=alert(1)&gt;",
    "\\u003cimg src=x onerror=alert(1)\\u003e",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "line\u2028separator\u2029paragraph",
    "right\u202eto\u202cleft",
    "\x1b[2Jescape\x00nul\x9b",
    "[x](javascript:alert(1)) ![](https://evil.example/i)",
    "<math><mtext></p><style><img src=x onerror=alert(1)></style>",
    "x" * 3000 + "<script>alert(1)</script>",
]
# An address that may be a link, and addresses that may not.
ADDRESS = "https://a_1.cn-hangzhou.fcapp.run/path?x=1&y=%20#z"
BAD_ADDRESSES = [
    "http://plain.example/",
    "https://user@evil.example/",
    "https://evil.example@good.example/",
    "https://localhost/",
    'https://evil.example/" onclick="alert(1)',
    "https://evil.example/<b>",
    "https://evil.example/a b",
    "https://ev\u0456l.example/",
    "https://evil.example\\@good.example/",
    " https://evil.example/",
    "https://evil.example/\n",
    "https://evil.example/" + "x" * 1000,
    "HTTPS://evil.example/",
]


def hostile_page(folder: Path) -> str:
    """Return a page with hostile names, descriptions, reasons and account names."""
    rows = [
        {
            "function_name": f"{number} {payload}",
            "description": payload,
            "runtime": payload,
            "role": payload,
            "internet_access": True,
            "state": payload,
            "state_reason": payload,
            "environment_variables": [(f"{payload} TOKEN", "hmac:0011223344556677")],
            "tags": [{"key": "owner", "value": payload}],
            "created_time": START - timedelta(days=1),
            "last_modified_time": START - timedelta(days=1),
        }
        for number, payload in enumerate(PAYLOADS)
    ]
    triggers = [
        {
            "service_name": "svc",
            "function_name": f"{number}",
            "trigger_name": payload,
            "trigger_type": "http",
            "trigger_config": {"auth_type": "anonymous"},
            "url_internet": payload,
        }
        for number, payload in enumerate([*PAYLOADS, *BAD_ADDRESSES, ADDRESS])
    ]
    old_rows = [{"function_name": f"{number} {payload}"} for number, payload in enumerate(PAYLOADS[:5])]
    directory = DirectoryEntry(
        account_id=ACCOUNT, status=Status.FAILED, error_code=PAYLOADS[0], error_message=PAYLOADS[1]
    )
    more = {
        "unknown_fields": {"fc_functions": dict.fromkeys(PAYLOADS, 1)},
        "left_out": [SkippedMember(OTHER_ACCOUNT, payload, payload) for payload in PAYLOADS],
        "directory": directory,
        "version": PAYLOADS[2],
    }
    old = write(folder, {"fc_functions": old_rows}, snapshot_id=BEFORE)
    tables = {"fc_functions": rows, "fc2_triggers": triggers}
    new = write(folder, tables, {"fc_triggers": Status.DENIED}, snapshot_id=SNAPSHOT, **more)
    [denied] = [row for row in new.ledger if row.status is Status.DENIED]
    denied.error_message = PAYLOADS[3]
    return make_report(new, CATALOG, against=old).html
