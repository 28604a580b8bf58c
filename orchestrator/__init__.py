"""Fetches every record of your accounts from the Vonage Reports API: once, verified, resumable."""

__version__ = "0.1.0"
