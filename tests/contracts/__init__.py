"""The contracts of the seams: one suite each, which every implementation passes."""
