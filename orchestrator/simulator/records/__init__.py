"""The records of the simulator: pure functions of the seed and of time."""
