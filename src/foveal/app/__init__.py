"""The command line; thin, without arithmetic."""
