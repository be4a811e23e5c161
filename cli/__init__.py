"""unitctl: one verb per file."""
