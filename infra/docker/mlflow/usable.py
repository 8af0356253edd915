"""Whether MLflow lets somebody in who knows the password, at the name that clients use."""

import base64
import json
import os
import urllib.request

login = f"{os.environ['MLFLOW_AUTH_ADMIN_USERNAME']}:{os.environ['MLFLOW_AUTH_ADMIN_PASSWORD']}"
request = urllib.request.Request(
    "http://127.0.0.1:5000/api/2.0/mlflow/experiments/search",
    json.dumps({"max_results": 1}).encode(),
    {
        "Content-Type": "application/json",
        "Host": "mlflow:5000",
        "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
    },
)
urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - the address stands above
