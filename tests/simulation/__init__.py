"""Thousands of report lives under virtual time, with random faults from printed seeds."""
