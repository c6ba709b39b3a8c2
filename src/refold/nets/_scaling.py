"""Raw numbers to network features and back, inside the network.

The numbers that scale are buffers, so that a saved or exported network goes from the user's raw numbers to raw
numbers. Missing cells are NaN: they enter the network as 0 (the mean of a standardised column, the lower end of a
range), with a flag beside them in columns where cells were missing in training, and no error is counted for them.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from refold.nets._scale import Scale


class Scaling(nn.Module, ABC):
    """The first and the last step of a network: raw numbers to features, features to raw numbers.

    Attributes
    ----------
    raw_shape : tuple of int
        Shape of one raw record.
    input_shape : tuple of int
        Shape of what the encoder sees.
    feature_shape : tuple of int
        Shape of what the decoder gives.
    categories : tuple of int
        Sizes of the blocks of category scores at the end of the features; () where all are numbers.
    unit : bool
        Whether the numbers among the features lie in 0 to 1.
    """

    center: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, scale: Scale, exact: bool) -> None:
        super().__init__()
        self.raw_shape: tuple[int, ...] = ()
        self.input_shape: tuple[int, ...] = ()
        self.feature_shape: tuple[int, ...] = ()
        self.categories: tuple[int, ...] = ()
        self.unit = scale.unit
        dtype = torch.float64 if exact else torch.float32
        for name in ("center", "spread", "low", "high"):
            self.register_buffer(name, torch.tensor(getattr(scale, name), dtype=dtype))

    def numbers(self, raw: Tensor) -> Tensor:
        """Return raw numbers in the dtype that scaling is done in."""
        return raw.to(self.center.dtype)

    @abstractmethod
    def numeric(self) -> Tensor:
        """Return which raw values are numbers and not codes of categories, as bool of shape like `center`."""

    @abstractmethod
    def features(self, raw: Tensor) -> Tensor:
        """Return what the decoder shall give, float32 (B, *feature_shape), from raw (B, *raw_shape)."""

    @abstractmethod
    def seen(self, raw: Tensor) -> Tensor | None:
        """Return which columns were seen, bool (B, columns); None stands for "everything was seen"."""

    def inputs_of(self, features: Tensor, raw: Tensor) -> Tensor:
        """Return what the encoder sees, float32 (B, *input_shape), where the features are known already."""
        return features

    def inputs(self, raw: Tensor) -> Tensor:
        """Return what the encoder sees, float32 (B, *input_shape), from raw (B, *raw_shape)."""
        return self.inputs_of(self.features(raw), raw)

    def targets(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return `features` and `seen`."""
        return self.features(raw), self.seen(raw)

    def spread_over_features(self, seen: Tensor) -> Tensor:
        """Return which features were seen, (B, features), from which columns were seen, (B, columns)."""
        if not self.categories:
            return seen
        numbers = seen.shape[1] - len(self.categories)
        sizes = torch.tensor([1] * numbers + list(self.categories), device=seen.device)
        return seen.repeat_interleave(sizes, dim=1)

    def as_shares(self, features: Tensor) -> Tensor:
        """Return features with the scores of every category column turned into shares that sum to 1."""
        if not self.categories:
            return features
        count = features.shape[1] - sum(self.categories)
        blocks = torch.split(features[:, count:], list(self.categories), dim=1)
        return torch.cat([features[:, :count], *[block.softmax(1) for block in blocks]], dim=1)

    @abstractmethod
    def restore(self, features: Tensor) -> Tensor:
        """Return raw numbers (B, *raw_shape) from features (B, *feature_shape), inside a known range."""

    def _in_range(self, features: Tensor) -> Tensor:
        return features.clamp(0, 1) if self.unit else features


class GridScaling(Scaling):
    """Pictures: one scale for all pixels, channels first inside, missing pixels at the lower end.

    Parameters
    ----------
    scale : Scale
    raw_shape : tuple of int
        ``(H, W)`` or ``(H, W, C)``.
    exact : bool
        Scale in float64, for data that came in it.
    """

    def __init__(self, scale: Scale, raw_shape: tuple[int, ...], exact: bool) -> None:
        super().__init__(scale, exact)
        self.raw_shape = raw_shape
        channels = raw_shape[2] if len(raw_shape) == 3 else 1
        self.input_shape = self.feature_shape = (channels, *raw_shape[:2])

    def numeric(self) -> Tensor:
        """Return True: pixels are numbers."""
        return torch.ones_like(self.center, dtype=torch.bool)

    def features(self, raw: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) from raw (B, H, W[, C])."""
        numbers = self.numbers(raw) if raw.is_floating_point() else raw  # bytes become floats in the subtraction
        filled = _filled((numbers - self.center) / self.spread, raw)
        return filled.permute(0, 3, 1, 2) if len(self.raw_shape) == 3 else filled.unsqueeze(1)

    def seen(self, raw: Tensor) -> Tensor | None:
        """Return which pixels (B, C * H * W) were seen; missing ones carry no error."""
        if not raw.is_floating_point():
            return None
        seen = ~torch.isnan(raw)
        return (seen.permute(0, 3, 1, 2) if len(self.raw_shape) == 3 else seen.unsqueeze(1)).flatten(1)

    def restore(self, features: Tensor) -> Tensor:
        """Return raw (B, H, W[, C]) from pictures (B, C, H, W)."""
        inside = self._in_range(features)
        placed = inside.permute(0, 2, 3, 1) if len(self.raw_shape) == 3 else inside.squeeze(1)
        return placed.to(self.center.dtype) * self.spread + self.center


class ColumnScaling(Scaling):
    """Rows: numbers scaled column by column, categories one-hot, flags for missing cells.

    Features hold the numbers first and then one block of scores per category column.

    Parameters
    ----------
    scale : Scale
    n_categories : tuple of int
        Categories per column, 0 for numbers.
    exact : bool
        Scale in float64, for data that came in it.
    """

    def __init__(self, scale: Scale, n_categories: tuple[int, ...], exact: bool) -> None:
        super().__init__(scale, exact)
        self.raw_shape = (len(n_categories),)
        self._number_places = [place for place, count in enumerate(n_categories) if count == 0]
        self._category_places = [place for place, count in enumerate(n_categories) if count > 0]
        self._flag_places = [int(place) for place in np.flatnonzero(scale.flagged)]
        self.categories = tuple(count for count in n_categories if count > 0)
        width = len(self._number_places) + sum(self.categories)
        self.feature_shape = (width,)
        self.input_shape = (width + len(self._flag_places),)
        order = [*self._number_places, *self._category_places]
        # where each raw column stands among the ordered ones, to undo the ordering in `restore`
        self._back = np.argsort(order).tolist()
        self._ordered = self._number_places == list(range(len(n_categories)))

    def numeric(self) -> Tensor:
        """Return which columns hold numbers."""
        flags = torch.zeros(self.raw_shape, dtype=torch.bool, device=self.center.device)
        flags[self._number_places] = True
        return flags

    def inputs_of(self, features: Tensor, raw: Tensor) -> Tensor:
        """Return features and flags (B, width + flags)."""
        if not self._flag_places:
            return features
        return torch.cat([features, torch.isnan(raw[:, self._flag_places]).to(features.dtype)], dim=1)

    def seen(self, raw: Tensor) -> Tensor | None:
        """Return which columns were seen, numbers first (B, columns)."""
        if not raw.is_floating_point():
            return None
        seen = ~torch.isnan(raw)
        return seen if self._ordered else seen[:, [*self._number_places, *self._category_places]]

    def restore(self, features: Tensor) -> Tensor:
        """Return raw (B, columns) from features (B, width); a category is the one with the highest score."""
        count = len(self._number_places)
        spread, center = self._of_numbers(self.spread), self._of_numbers(self.center)
        parts = [self._in_range(features[:, :count]).to(center.dtype) * spread + center]
        if self.categories:
            blocks = torch.split(features[:, count:], list(self.categories), dim=1)
            parts += [block.argmax(dim=1, keepdim=True).to(center.dtype) for block in blocks]
        raw = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        return raw if self._ordered else raw[:, self._back]

    def by_column(self, values: Tensor) -> Tensor:
        """Return values of features (B, width) summed over each raw column, (B, columns)."""
        count = len(self._number_places)
        blocks = torch.split(values[:, count:], list(self.categories), dim=1) if self.categories else ()
        sums = torch.cat([values[:, :count], *[block.sum(1, keepdim=True) for block in blocks]], dim=1)
        return sums if self._ordered else sums[:, self._back]

    def of_columns(self, columns: Tensor) -> Tensor:
        """Return what is said of raw columns (B, columns) for each of their features, (B, width)."""
        ordered = columns if self._ordered else columns[:, [*self._number_places, *self._category_places]]
        return self.spread_over_features(ordered)

    def _of_numbers(self, values: Tensor) -> Tensor:
        return values if self._ordered else values[self._number_places]

    def features(self, raw: Tensor) -> Tensor:
        """Return features (B, width) from raw (B, columns)."""
        numbers = self.numbers(raw if self._ordered else raw[:, self._number_places])
        scaled = (numbers - self._of_numbers(self.center)) / self._of_numbers(self.spread)
        parts = [_filled(scaled, raw)]
        for place, count in zip(self._category_places, self.categories, strict=True):
            parts.append(_one_hot(raw[:, place], count))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def _filled(scaled: Tensor, raw: Tensor) -> Tensor:
    """Return scaled numbers as float32 with 0 for missing ones."""
    short = scaled.to(torch.float32)
    return torch.nan_to_num(short, nan=0.0) if raw.is_floating_point() else short


def _one_hot(codes: Tensor, count: int) -> Tensor:
    """Return (B, count); a missing code gives zeros."""
    known = torch.nan_to_num(codes, nan=float(count)).to(torch.long).clamp(0, count)
    return functional.one_hot(known, count + 1)[:, :count].to(torch.float32)
