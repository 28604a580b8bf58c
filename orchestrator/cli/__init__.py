"""The command line: the only place that builds concrete things and calls `anyio.run`."""
