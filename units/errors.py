"""What can be wrong with a unit file, said the same way everywhere."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]


class Problem(msgspec.Struct, frozen=True):
    """One finding in one place.

    `error` keeps the unit from loading, `warning` is shown by `verify` and `status`, `note` only by `verify`.
    """

    severity: Severity
    message: str
    file: str = ""
    line: int = 0
    hint: str = ""
    confines: bool = False  # the directive would have confined the service and is not honoured

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.severity}: {self.message}{hint}"


class ValueProblem(ValueError):
    """A value cannot be read. `hint` says what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
