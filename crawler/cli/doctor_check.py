"""One finding of `doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check: its subject, its observation and, if there is a problem, the remedy."""

    subject: str
    seen: str
    remedy: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is no problem."""
        return not self.remedy

    def value(self) -> dict[str, str | bool]:
        """Return the check as JSON values."""
        return {"subject": self.subject, "is_well": self.is_well, "seen": self.seen, "remedy": self.remedy}
