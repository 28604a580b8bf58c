"""The command line: parses options and renders results. It holds no rule of its own."""
