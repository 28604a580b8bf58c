"""The engine: one coroutine a report, and what they share. Sees the world through `core.ports`."""
