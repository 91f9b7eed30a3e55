"""The built-in cloud: Function Compute, OpenSearch, RAM and STS on loopback ports, as strict as the real services.

`acs-inventory demo` and `emulate` run it. Your own tests can run it, too:

```python
cloud = Cloud(CloudSpec(seed=7))
cloud.faults.add(Throttle(retry_after_ms=2000), product="fc", nth=(1,))
async with serve(cloud) as emulator:
    url = emulator.url("fc", "cn-hangzhou")
    key_id, secret = cloud.credentials("1000000000000001")
```

It is independent of the crawler: it doesn't read the crawler's catalog and doesn't use its signer. Reading order:

1. `spec` and `cloud`: the accounts, regions and sizes, and the cloud that is built from them
2. `apis/`: the operations; start with `operation`
3. `data/`: the seeded resources; start with `seeded` and `region`
4. `server/`: HTTP; `server`, `gateway`, `service`, then `signature`, `paging` and the rest
5. `faults/`: errors on demand; `script`, then `effects`
6. `days/` and `differences`: the changes from one day to the next
"""

from crawler.emulator.cloud import Cloud
from crawler.emulator.differences import ExpectedChange, difference
from crawler.emulator.faults.effects import (
    Body,
    Delay,
    Deny,
    Drop,
    Echo,
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
    "Echo",
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
