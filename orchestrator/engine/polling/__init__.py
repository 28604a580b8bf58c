"""Polling: asks the API how the open reports stand, with as few requests as possible."""
