"""The rules of the program. Pure: no input or output, no clock, no randomness."""
