"""What people read of a run: live table, log, summary, and the words for all of them."""
