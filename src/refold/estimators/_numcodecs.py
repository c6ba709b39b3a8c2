"""The compressor as a codec of numcodecs, and so of zarr."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refold._errors import DataError, ModelFileError
from refold._extras import require
from refold.estimators._compressor import Compressor, decompress

_abc: Any = require("numcodecs.abc", extra="zarr", purpose="use refold as a codec of numcodecs or zarr")


class NumcodecsCodec(_abc.Codec):  # type: ignore[misc] # numcodecs is optional
    """Compress chunks of zarr, or any buffers, as `Compressor` does.

    Parameters
    ----------
    max_error : float or str, default=0
        As of `Compressor`. A share of the range is one of each chunk.
    fill_value : float, "auto" or None, default="auto"
    model : str, optional
        The path of a compressor that ``refold fit --for compress`` or `Compressor.save` wrote. Every chunk names the
        model that it needs, and only the path is kept beside the chunks.

    Raises
    ------
    ModelFileError
        If there is a model and it is no compressor.
    ParameterError

    Examples
    --------
    >>> import numpy as np
    >>> from refold import NumcodecsCodec
    >>> codec = NumcodecsCodec(max_error=1e-3)
    >>> waves = np.sin(np.arange(10_000) / 50).reshape(10, 1000)
    >>> back = codec.decode(codec.encode(waves))
    >>> back.shape, bool(np.abs(back - waves).max() <= 1e-3)
    ((10, 1000), True)
    >>> codec.get_config()
    {'id': 'refold', 'max_error': 0.001, 'fill_value': 'auto'}
    """

    codec_id = "refold"

    def __init__(
        self, max_error: float | str = 0.0, fill_value: float | str | None = "auto", model: str | None = None
    ) -> None:
        self.max_error, self.fill_value, self.model = max_error, fill_value, model
        self._compressor = Compressor() if model is None else _loaded(model)
        self._compressor.set_params(max_error=max_error, fill_value=fill_value)
        self._compressor._bound()

    def encode(self, buf: Any) -> bytes:
        """Return an array as compressed data that know its type and shape.

        Parameters
        ----------
        buf : buffer, of numbers or truth values
        """
        values = np.asarray(buf)
        if values.ndim > 4:  # the compressed data keep what lies inside; the caller knows the shape
            values = values.reshape(-1, *values.shape[-3:])
        return self._compressor.compress(values)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the array of compressed data.

        Parameters
        ----------
        buf : buffer
        out : buffer, optional
            Of the same number of bytes; what comes back is written there.

        Raises
        ------
        CompressedFileError
            If the data are damaged.
        DataError
            If `out` is of another size.
        """
        found = decompress(bytes(np.asarray(buf).reshape(-1).view(np.uint8)), model=self._compressor)
        if isinstance(found, dict):
            raise DataError("these compressed data hold named arrays; read them with refold.decompress")
        if out is None:
            return found
        room = np.asarray(out)
        if room.nbytes != found.nbytes:
            raise DataError(f"the array has {found.nbytes} bytes, and the room for it {room.nbytes}")
        room.reshape(-1).view(np.uint8)[:] = np.ascontiguousarray(found).reshape(-1).view(np.uint8)
        return out

    def get_config(self) -> dict[str, Any]:
        """Return the parameters as JSON has them."""
        config = {"id": self.codec_id, "max_error": self.max_error, "fill_value": self.fill_value}
        return config if self.model is None else {**config, "model": str(self.model)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NumcodecsCodec":
        """Return the codec of a configuration."""
        return cls(**{name: value for name, value in config.items() if name != "id"})


def _loaded(path: str) -> Compressor:
    from refold.estimators._storage import load

    model = load(path, device="cpu")
    if not isinstance(model, Compressor):
        raise ModelFileError(f"{Path(path).name!r} holds a {type(model).__name__}, which compresses nothing")
    return model
