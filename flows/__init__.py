"""The Prefect side: flows, tasks, deployments, the embedded servers and the command line."""
