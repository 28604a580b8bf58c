"""Faults of the simulator: what can go wrong, and how it is declared."""
