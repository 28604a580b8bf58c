"""The Reports API: its wire format, a client with one method an endpoint, and the gate of a key."""

from __future__ import annotations

from orchestrator.api.client import VonageReports
from orchestrator.api.rate_limiter import KeyRateLimiter
from orchestrator.api.reachability import reach
from orchestrator.api.transport import open_session

__all__ = ["KeyRateLimiter", "VonageReports", "open_session", "reach"]
