"""[Install] (systemd.unit(5))."""

from __future__ import annotations

from unitd.units.tables.row import rows

_HONOURED = """
WantedBy|words|install.wanted_by||Units that want this one once it is enabled.
RequiredBy|words|install.required_by||Units that require this one once it is enabled.
UpheldBy|words|install.upheld_by||Units that uphold this one once it is enabled.
Alias|words|install.alias||Other names once it is enabled.
Also|names|install.also||Units to enable along.
DefaultInstance|str|install.default_instance||Instance to enable a template as.
"""
ROWS = (*rows("Install", _HONOURED),)
