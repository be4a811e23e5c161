"""The directive table, one module per section or group. A module has ROWS; `units.directives` joins them."""
