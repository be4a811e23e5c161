"""The verbs that the bus serves, by subject."""
