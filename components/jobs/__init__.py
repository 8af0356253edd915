"""The steps of a night as plain functions over protocols: usable without Prefect."""
