"""What to run: unit-file text becomes typed units. Pure, apart from `loader`, which reads files."""
