"""Tells others how runs begin and end: webhooks, commands, pings, metrics, OpenTelemetry.

Nothing here changes how a run ends: what cannot be told becomes a warning, within bounded time.
"""
