"""The client of the Reports API: one method an endpoint, and a rate limiter for each API key."""

from orchestrator.api.client import VonageReports
from orchestrator.api.rate_limiter import KeyRateLimiter
from orchestrator.api.transport import open_session, reach

__all__ = ["KeyRateLimiter", "VonageReports", "open_session", "reach"]
