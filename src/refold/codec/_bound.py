"""What is promised about values that come back: how far they may be from what went in."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ABSOLUTE, OF_RANGE, OF_VALUE = "absolute", "of_range", "of_value"
_ENDINGS = {"": ABSOLUTE, "abs": ABSOLUTE, "rel": OF_RANGE, "pw": OF_VALUE}
_TEXT = re.compile(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*(abs|rel|pw)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Bound:
    """A largest error: `absolute` in units of the data, `of_range` as a share of the largest value less the smallest,
    or `of_value` as a share of every value. An amount of 0 is a promise of the same bits.
    """

    amount: float
    kind: str = ABSOLUTE

    @property
    def lossless(self) -> bool:
        """Whether all bits come back."""
        return self.amount == 0

    def within(self, values: Array) -> "Bound":
        """Return what this bound is for values, all finite: one of a share of the range becomes absolute."""
        if self.kind != OF_RANGE or self.lossless:
            return self
        lowest, highest = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        return Bound(self.amount * (highest - lowest))

    def allowed(self, values: Array) -> Array | float:
        """Return the largest error of each value; of an absolute bound one number for all."""
        return np.abs(values.astype(np.float64)) * self.amount if self.kind == OF_VALUE else self.amount

    def __str__(self) -> str:
        ending = {kind: text for text, kind in _ENDINGS.items() if text != "abs"}[self.kind]
        return f"{float(self.amount)!r}".removesuffix(".0") + ending  # all digits: a reader compares with it


def parse_bound(text: Any) -> Bound:
    """Return the bound that a number (absolute) or a text such as ``"1e-3rel"`` or ``"1e-3pw"`` means.

    Raises
    ------
    ValueError
        If it means none.
    """
    if isinstance(text, Bound):
        return text
    found = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if isinstance(text, bool) or (found is None and not isinstance(text, int | float | np.number)):
        raise ValueError(f"{text!r} is no largest error")
    kind = _ENDINGS[(found[2] or "").lower()] if found else ABSOLUTE
    amount = float(found[1]) if found else float(text)
    if not (math.isfinite(amount) and amount >= 0) or (kind == OF_VALUE and amount >= 1):
        raise ValueError(f"{text!r} is no largest error")
    return Bound(amount, kind)
