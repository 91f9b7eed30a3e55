"""The built-in cloud: Function Compute, OpenSearch and STS on loopback ports, as strict as the real ones.

`acs-inventory demo` and `emulate` run it; so can your own tests:

```python
cloud = Cloud(CloudSpec(seed=7))
cloud.faults.add(Throttle(retry_after_ms=2000), product="fc", nth=(1,))
async with serve(cloud) as emulator:
    url = emulator.url("fc", "cn-hangzhou")
    key_id, secret = cloud.credentials("1000000000000001")
```

It is an independent witness: it neither reads the crawler's catalog nor uses its signer. Reading order: `spec`,
`operation`, `operations`, `place`, `places` (what there is) · `gateway`, `signature`, `service`, `paging`,
`opensearch_rules`, `opensearch_envelopes` (how it answers) · `effects`, `faults` (what goes wrong) · `days`,
`day_rules`, `day_values`, `differences` (what a day changes) · `server`.
"""

from crawler.emulator.cloud import Cloud
from crawler.emulator.differences import ExpectedChange, difference
from crawler.emulator.faults.effects import (
    Body,
    Delay,
    Deny,
    Drop,
    Error,
    HtmlFault,
    PageFault,
    Redirect,
    Refuse,
    RepeatToken,
    Slow,
    Throttle,
    Truncate,
)
from crawler.emulator.faults.script import FaultScript, Rule
from crawler.emulator.request_log import LoggedRequest, RequestLog
from crawler.emulator.server.server import Emulator, serve
from crawler.emulator.spec import CloudOrganization, CloudSpec, Rate

__all__ = [
    "Body",
    "Cloud",
    "CloudOrganization",
    "CloudSpec",
    "Delay",
    "Deny",
    "Drop",
    "Emulator",
    "Error",
    "ExpectedChange",
    "FaultScript",
    "HtmlFault",
    "LoggedRequest",
    "PageFault",
    "Rate",
    "Redirect",
    "Refuse",
    "RepeatToken",
    "RequestLog",
    "Rule",
    "Slow",
    "Throttle",
    "Truncate",
    "difference",
    "serve",
]
