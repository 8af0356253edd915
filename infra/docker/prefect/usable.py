"""Whether Prefect lets somebody in who knows the password, and reads its database."""

import base64
import os
import urllib.request

login = os.environ["PREFECT_SERVER_API_AUTH_STRING"]
request = urllib.request.Request(
    "http://127.0.0.1:4200/api/flow_runs/count",
    b"{}",
    {
        "Content-Type": "application/json",
        "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
    },
)
urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - the address stands above
