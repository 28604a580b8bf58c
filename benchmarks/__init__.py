"""What the program costs and how fast it is, against figures to reach: see README.md beside."""
