"""From a download to a verified file under its final name."""
