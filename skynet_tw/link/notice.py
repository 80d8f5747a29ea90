"""What a core without a logger wants to have logged."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Notice:
    """One line for the log."""

    #: The line, with fields in braces as `twisted.logger` formats them.
    format: str
    #: The fields.
    fields: dict[str, object] = field(default_factory=dict)
    #: Whether somebody should look at it.
    warn: bool = False

    def __str__(self) -> str:
        return self.format.format(**self.fields)
