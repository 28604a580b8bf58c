"""A second opinion: an API that deviates plausibly, operators as people are, and the promises."""
