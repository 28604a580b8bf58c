"""Use cases as functions that take inputs and return results. They print nothing."""
