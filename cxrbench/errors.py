"""The errors that users read: one sentence each, what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CxrbenchError(Exception):
    """Something failed that the user can act on; the command ends with exit code 1."""

    exit_code = 1


class DamagedImageError(CxrbenchError):
    """The content of one image is not what it should be.

    Attributes:
        image: the image, by whatever name the user knows it.
        what: what is wrong with it, such as ``is truncated``.
    """

    def __init__(self, image: str, what: str) -> None:
        super().__init__(image, what)
        self.image, self.what = image, what

    def __str__(self) -> str:
        """The sentence."""
        return f"The image {self.image} {self.what}; download it again or leave it out."


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a sentence on a name that there is not: the near ones, or all where none is near."""
    names = list(names)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}."


def sentence(error: BaseException) -> str:
    """What went wrong in one sentence, also where the operating system says it."""
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}; mend that and run the same command again."
    text, name = " ".join(str(error).split()), type(error).__name__
    if not text:
        return name
    # The code that sys.exit was called with tells nothing by itself.
    return text if isinstance(error, Exception) else f"{name}: {text}"


class CallEnd(SystemExit):
    """The whole call ends: nothing else of it could go on. What went wrong is said already."""


class UsageError(CxrbenchError):
    """The request itself is wrong (a name, an option, a combination); exit code 2, before any work."""

    exit_code = 2
