"""The compressor as a codec of zarr's format 3, which is given arrays and gives bytes."""

import asyncio
from dataclasses import dataclass
from typing import Any

from refold._extras import require
from refold.estimators._numcodecs import NumcodecsCodec

_codec: Any = require("zarr.abc.codec", extra="zarr", purpose="use refold as a codec of zarr")


@dataclass(frozen=True)
class ZarrCodec(_codec.ArrayBytesCodec):  # type: ignore[misc] # zarr is optional
    """Compress the chunks of arrays of zarr's format 3; give it as ``serializer``, without compressors after it.

    Parameters
    ----------
    max_error : float or str, default=0
        As of `Compressor`. A share of the range is one of each chunk.
    fill_value : float, "auto" or None, default="auto"
    model : str, optional
        The path of a compressor, see `NumcodecsCodec`.

    Examples
    --------
    >>> import numpy as np, warnings, zarr
    >>> from refold import ZarrCodec
    >>> zarr.registry.register_codec("refold", ZarrCodec)  # an installed refold is known to zarr
    >>> array = zarr.create_array(
    ...     {}, shape=(10, 1000), chunks=(5, 1000), dtype="f8", serializer=ZarrCodec(1e-3), compressors=None
    ... )
    >>> array[:] = waves = np.sin(np.arange(10_000) / 50).reshape(10, 1000)
    >>> bool(np.abs(array[:] - waves).max() <= 1e-3)
    True
    """

    max_error: float | str = 0.0
    fill_value: float | str | None = "auto"
    model: str | None = None
    is_fixed_size = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "_codec", NumcodecsCodec(self.max_error, self.fill_value, self.model))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ZarrCodec":
        """Return the codec of an array's metadata."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return what an array's metadata say of the codec."""
        config = NumcodecsCodec.get_config(self._codec)
        return {"name": config.pop("id"), "configuration": config}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        """Raise NotImplementedError: how large a chunk becomes depends on its values."""
        raise NotImplementedError

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        found = await asyncio.to_thread(self._codec.decode, chunk_data.to_bytes())
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(found.reshape(chunk_spec.shape))

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        packed = await asyncio.to_thread(self._codec.encode, chunk_data.as_ndarray_like())
        return chunk_spec.prototype.buffer.from_bytes(packed)
