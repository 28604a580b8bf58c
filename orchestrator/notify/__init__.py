"""Tells others how a run ended: by webhooks, commands, pings and a file of metrics.

Nothing here changes how a run ends: what cannot be told becomes a warning, within bounded time.
"""
