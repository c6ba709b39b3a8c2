"""The codecs of numcodecs and zarr: chunks keep the bound, whatever format they are in."""

import numcodecs
import numpy as np
import pytest
import zarr

from refold import (
    CompressedFileError,
    Compressor,
    DataError,
    ModelFileError,
    NumcodecsCodec,
    ParameterError,
    ZarrCodec,
)

WAVES = np.sin(np.arange(2400) / 50).reshape(6, 4, 100)


@pytest.fixture(autouse=True)
def known():
    numcodecs.register_codec(NumcodecsCodec)
    zarr.registry.register_codec("refold", ZarrCodec)


@pytest.mark.parametrize(
    "values",
    [WAVES, WAVES.astype(np.float32)[0, 0], np.arange(12, dtype=np.int16).reshape(3, 4) > 5, WAVES[None, None]],
)
def test_without_a_bound_all_bits_come_back_also_into_room_that_is_there(values):
    codec = NumcodecsCodec()
    packed = codec.encode(values)
    assert np.asarray(codec.decode(packed)).tobytes() == values.tobytes()
    room = np.empty_like(values)
    assert codec.decode(memoryview(packed), out=room) is room and room.tobytes() == values.tobytes()
    with pytest.raises(DataError, match="room for it"):
        codec.decode(packed, out=np.empty(1, np.int64))


def test_a_configuration_makes_the_same_codec():
    codec = numcodecs.get_codec({"id": "refold", "max_error": "1e-3rel", "fill_value": None})
    assert isinstance(codec, NumcodecsCodec) and codec == NumcodecsCodec("1e-3rel", None)
    assert numcodecs.get_codec(codec.get_config()) == codec


def test_what_cannot_be_is_said(tmp_path):
    with pytest.raises(ParameterError, match="max_error"):
        NumcodecsCodec(max_error=-1)
    with pytest.raises(ModelFileError, match=r"absent\.safetensors"):
        NumcodecsCodec(model=str(tmp_path / "absent.safetensors"))
    with pytest.raises(CompressedFileError):
        NumcodecsCodec().decode(NumcodecsCodec().encode(WAVES)[:-3])


@pytest.mark.parametrize("kind", ["format 2", "format 3", "shards"])
def test_arrays_of_zarr_keep_their_bound_and_open_again(kind, tmp_path):
    Compressor(max_error=1e-3).save(tmp_path / "m.safetensors")
    how = {
        "format 2": {"zarr_format": 2, "compressors": NumcodecsCodec(1e-3)},
        "format 3": {"serializer": ZarrCodec(1e-3, model=str(tmp_path / "m.safetensors")), "compressors": None},
        "shards": {"serializer": ZarrCodec(1e-3), "compressors": None, "shards": (4, 4, 100)},
    }[kind]
    array = zarr.create_array(tmp_path / "a.zarr", shape=WAVES.shape, chunks=(2, 4, 100), dtype="f8", **how)
    array[:] = WAVES
    found = zarr.open(tmp_path / "a.zarr")[:]
    assert 0 < np.abs(found - WAVES).max() <= 1e-3
    size = sum(path.stat().st_size for path in (tmp_path / "a.zarr").rglob("*") if path.is_file())
    assert size < WAVES.nbytes / 2
