"""unitctl: the command line, one file per verb or tight family of verbs."""
