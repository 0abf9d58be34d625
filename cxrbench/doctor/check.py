"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "absent", "broken"]
"""``absent``: not there, and nothing needs it; ``broken``: needed, or installed, and does not work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: what it belongs to, such as ``GPU``.
        name: what it is.
        state: whether it works.
        found: what was found, in words.
        mend: the command that brings or mends it; empty where there is none, or nothing to mend.
    """

    group: str
    name: str
    state: State
    found: str
    mend: str = ""
