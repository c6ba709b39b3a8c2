"""NetCDF files and zarr stores as named arrays: raw values, with their dimensions and attributes."""

import base64
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refold._atomic import write_whole
from refold._errors import DataError
from refold._extras import require
from refold.data._array_records import inside_type, records_of
from refold.data._arrays_in_files import ArraysOfFile, NamedArray
from refold.data._arrays_of_pictures import inner_path

Array = NDArray[Any]

NETCDF_ENDINGS = (".nc", ".nc4", ".cdf", ".netcdf")
ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")
_MODELS = ("NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")
_MOST_TEXT = 1 << 16  # bytes of a variable of texts that is kept as it is
_FILLS = ("_FillValue", "missing_value")
_NAMING = ("coordinates", "bounds", "climatology")  # attributes that name variables which say where values are


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what two libraries raise for broken files into one sentence."""
    try:
        yield
    except (DataError, ImportError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path.name!r} cannot be read: {reason}") from error


# --- NetCDF, reading -----------------------------------------------------------------------------------------------


def open_netcdf(path: Path, member: str = "", drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open a NetCDF file; values are as they are stored, neither scaled nor masked."""
    netcdf = require("netCDF4", extra="fields", purpose="read NetCDF files")
    closing = ExitStack()
    with _reading(path), closing:
        file = closing.enter_context(netcdf.Dataset(path, "r"))
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        groups = dict(_groups(file))
        variables = {f"{at}{name}": (variable, group) for at, group in groups.items()
                     for name, variable in group.variables.items()}  # fmt: skip
        _check_drop(drop, variables, path)
        variables = {name: pair for name, pair in variables.items() if name not in drop}
        texts = {name: _texts(name, variable) for name, (variable, _) in variables.items() if variable.dtype is str}
        places = _places(variables)
        arrays = tuple(
            _variable(path, name, variable, places) for name, (variable, _) in variables.items() if name not in texts
        )
        about = {
            "model": file.data_model,
            "groups": {at: _group(group) for at, group in groups.items()},
            "texts": texts,
            "order": list(variables),
        }
        return ArraysOfFile("netcdf", path.name, about, arrays, closing=closing.pop_all())
    raise AssertionError


def _groups(group: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    yield at, group
    for name, inner in group.groups.items():
        yield from _groups(inner, f"{at}{name}/")


def _check_drop(drop: Sequence[str], known: Any, path: Path) -> None:
    for name in drop:
        if name not in known:
            raise DataError(f"{path.name!r} has no variable {name!r}; it holds {', '.join(known)}")


def _group(group: Any) -> dict[str, Any]:
    dimensions = {name: None if each.isunlimited() else len(each) for name, each in group.dimensions.items()}
    return {"dimensions": dimensions, "attributes": _attributes(group)}


def _attributes(owner: Any) -> dict[str, Any]:
    return {name: _packed_attribute(owner.getncattr(name), name) for name in owner.ncattrs()}


def _packed_attribute(value: Any, name: str) -> Any:
    """Return an attribute as JSON, numbers bit for bit."""
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return value
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "biuf":
        raise DataError(f"the attribute {name!r} is neither text nor numbers and cannot be kept; remove it")
    return {"type": numbers.dtype.str, "bytes": base64.b64encode(numbers.tobytes()).decode(), "one": not numbers.ndim}


def _attribute(packed: Any) -> Any:
    if not isinstance(packed, dict):
        return packed
    dtype = np.dtype(packed["type"])
    if dtype.kind not in "biuf":
        raise ValueError("an attribute is neither text nor numbers")
    numbers = np.frombuffer(base64.b64decode(packed["bytes"]), dtype)
    return numbers[0] if packed["one"] else numbers


def _texts(name: str, variable: Any) -> dict[str, Any]:
    values = np.asarray(variable[...], dtype=object)
    flat = [str(value) for value in values.reshape(-1)]
    if sum(map(len, flat)) > _MOST_TEXT:
        raise DataError(
            f"the variable {name!r} holds much text, which cannot be compressed; leave it out: --drop {name}"
        )
    return {"values": flat, "dimensions": list(variable.dimensions), "attributes": _attributes(variable)}


def _places(variables: dict[str, Any]) -> set[str]:
    """Return the names of variables that say where and when values are: they come back bit for bit."""
    found = {name for name in variables if variables[name][0].dimensions == (name.rpartition("/")[2],)}
    for name, (variable, _) in variables.items():
        for key in _NAMING:
            told = variable.getncattr(key) if key in variable.ncattrs() else ""
            found |= {f"{name.rpartition('/')[0]}/{other}".lstrip("/") for other in str(told).split()}
    return found


def _variable(path: Path, name: str, variable: Any, places: set[str]) -> NamedArray:
    attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
    if not isinstance(variable.dtype, np.dtype) or hasattr(variable.datatype, "enum_dict"):
        raise DataError(f"the variable {name!r} is of a type of its own; leave it out: --drop {name}")
    more = {
        "dimensions": list(variable.dimensions),
        "attributes": _attributes(variable),
        "storage": _storage(variable),
    }
    dtype, exact = variable.dtype, name in places or not variable.shape or variable.dtype.kind in "SMmb"
    records = records_of(_Guarded(variable, path, dtype, variable.shape), name)
    scale, offset = _scaled(attributes)
    return NamedArray(name, records, tuple(variable.shape), exact, scale, offset, _fills(attributes, dtype), more)


def _storage(variable: Any) -> dict[str, Any]:
    filters, chunks = variable.filters() or {}, variable.chunking()
    zlib = {name: filters[name] for name in ("zlib", "shuffle", "complevel", "fletcher32") if name in filters}
    return {**zlib, "chunksizes": chunks if isinstance(chunks, list) else None, "endian": variable.endian()}


def _scaled(attributes: dict[str, Any]) -> tuple[float, float]:
    try:
        scale, offset = float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0))
    except (TypeError, ValueError):
        return 1.0, 0.0
    return (abs(scale), offset) if np.isfinite(scale) and scale != 0 else (1.0, 0.0)


def _fills(attributes: dict[str, Any], dtype: np.dtype[Any]) -> tuple[float, ...]:
    found: list[float] = []
    for name in _FILLS:
        try:
            values = np.atleast_1d(np.asarray(attributes.get(name, []))).astype(np.float64)
        except (TypeError, ValueError):
            continue
        found += [float(value) for value in values if np.isfinite(value)]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Guarded:
    """A variable, whose errors are told in one sentence."""

    variable: Any
    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __getitem__(self, part: Any) -> Array:
        with _reading(self.path):
            return np.asarray(self.variable[part], self.dtype)


# --- NetCDF, writing -----------------------------------------------------------------------------------------------


def write_netcdf(path: Path, arrays: Sequence[NamedArray], about: dict[str, Any]) -> None:
    """Write a NetCDF file part by part, whole or not at all.

    Raises
    ------
    ValueError
        If what is told of it does not suit its arrays.
    """
    netcdf = require("netCDF4", extra="fields", purpose="write NetCDF files")
    if about["model"] not in _MODELS:
        raise ValueError("the model of the NetCDF file is unknown")
    named = {array.name: array for array in arrays}
    with write_whole(path) as temporary, netcdf.Dataset(temporary, "w", format=about["model"]) as file:
        groups = {"": file}
        for at, told in about["groups"].items():
            group = groups.setdefault(at, file if not at else file.createGroup(inner_path(at)))
            for name, length in told["dimensions"].items():
                group.createDimension(name, length)
            group.setncatts({name: _attribute(value) for name, value in told["attributes"].items()})
        for name in about["order"]:
            at, _, own = name.rpartition("/")
            group = groups[f"{at}/" if at else ""]
            if name in named:
                _write_variable(group, own, named[name], netcdf)
            elif name in about["texts"]:
                _write_texts(group, own, about["texts"][name])


def _write_variable(group: Any, name: str, array: NamedArray, netcdf: Any) -> None:
    told, dimensions = array.more["storage"], array.more["dimensions"]
    attributes = {key: _attribute(value) for key, value in array.more["attributes"].items()}
    filters = {key: told[key] for key in ("zlib", "shuffle", "complevel", "fletcher32") if told.get(key)}
    chunks = told.get("chunksizes") if group.data_model.startswith("NETCDF4") else None
    variable = group.createVariable(
        name,
        array.records.dtype,
        tuple(dimensions),
        fill_value=attributes.pop("_FillValue", None),
        chunksizes=chunks,
        endian=told.get("endian", "native"),
        **filters,
    )
    variable.set_auto_maskandscale(False)
    variable.set_auto_chartostring(False)
    variable.setncatts(attributes)
    if not array.shape:
        variable[...] = array.records[:][0]
        return
    for start, part in array.records.parts():
        variable[start : start + len(part)] = part
    if variable.shape != array.shape:
        raise ValueError(f"the dimensions of {name!r} do not suit its values")


def _write_texts(group: Any, name: str, told: dict[str, Any]) -> None:
    variable = group.createVariable(name, str, tuple(told["dimensions"]))
    attributes = {key: _attribute(value) for key, value in told["attributes"].items() if key != "_FillValue"}
    variable.setncatts(attributes)
    values = np.array([str(value) for value in told["values"]], dtype=object)
    if variable.ndim:
        lengths = [len(values) if dimension == 0 else dimension for dimension in variable.shape]
        variable[:] = values.reshape(lengths)
    else:
        variable[...] = values[0]


# --- zarr ----------------------------------------------------------------------------------------------------------


def open_zarr(path: Path, member: str = "", drop: Sequence[str] = ()) -> ArraysOfFile:
    """Open a zarr store on a disk, of format 2 or 3: an array, or groups of them."""
    zarr = require("zarr", extra="fields", purpose="read zarr stores")
    with _reading(path):
        root = zarr.open(str(path), mode="r")
        if isinstance(root, zarr.Array):
            return ArraysOfFile("zarr", path.name, {"groups": {}}, (_zarr_array(path, "", root, set()),))
        members = dict(root.members(max_depth=None))
        arrays = {name: each for name, each in members.items() if isinstance(each, zarr.Array)}
        _check_drop(drop, arrays, path)
        groups = {"": dict(root.attrs), **{n: dict(e.attrs) for n, e in members.items() if n not in arrays}}
        places = {name for name, each in arrays.items() if _dimensions(each) == [name.rpartition("/")[2]]}
        for each in arrays.values():
            for key in _NAMING:
                places |= set(str(each.attrs.get(key, "")).split())
        found = tuple(_zarr_array(path, name, each, places) for name, each in arrays.items() if name not in drop)
        about = {"groups": groups, "format": root.metadata.zarr_format}
        return ArraysOfFile("zarr", path.name, about, found)
    raise AssertionError


def _dimensions(array: Any) -> list[str] | None:
    told = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    return None if told is None else [str(name) for name in told]


def _zarr_array(path: Path, name: str, array: Any, places: set[str]) -> NamedArray:
    dtype, attributes = np.dtype(array.dtype), dict(array.attrs)
    if dtype.kind not in "biufcMm":
        raise DataError(
            f"the array {name or path.name!r} is of {dtype}, which cannot be compressed; leave it out: --drop {name}"
        )
    fill = array.fill_value
    packed = None if fill is None else _packed_attribute(np.asarray(fill, dtype).view(inside_type(dtype)), "fill")
    more = {
        "attributes": attributes,
        "chunks": list(array.chunks),
        "fill": packed,
        "format": array.metadata.zarr_format,
        "dimensions": list(getattr(array.metadata, "dimension_names", None) or []) or None,
    }
    records = records_of(_Guarded(array, path, dtype, array.shape), name)
    scale, offset = _scaled(attributes)
    exact = name in places or not array.shape or dtype.kind in "bMm"
    fills = _fills({**attributes, "_FillValue": attributes.get("_FillValue", fill or [])}, dtype)
    return NamedArray(name, records, tuple(array.shape), exact, scale, offset, fills, more)


def write_zarr(path: Path, arrays: Sequence[NamedArray], about: dict[str, Any]) -> None:
    """Write a zarr store part by part, whole or not at all; a store that is there is replaced.

    Raises
    ------
    ValueError
        If what is told of it does not suit its arrays.
    """
    zarr = require("zarr", extra="fields", purpose="write zarr stores")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:40]}.{token_hex(4)}")
    try:
        single = len(arrays) == 1 and not arrays[0].name
        if not single:
            root = zarr.create_group(str(temporary), zarr_format=about.get("format", 3))
            for name, attributes in about["groups"].items():
                group = root.create_group(inner_path(name)) if name else root
                group.attrs.update(attributes)
        for array in arrays:
            _write_zarr_array(zarr, str(temporary) if single else root, array)
        _put_in_place(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_zarr_array(zarr: Any, place: Any, array: NamedArray) -> None:
    more, dtype = array.more, array.records.dtype
    fill = None
    if more.get("fill") is not None:
        fill = np.frombuffer(base64.b64decode(more["fill"]["bytes"]), dtype)[0]
    options: dict[str, Any] = {
        "shape": array.shape,
        "dtype": dtype,
        "chunks": tuple(more["chunks"]),
        "attributes": more["attributes"],
        "fill_value": fill,
        **({"dimension_names": more["dimensions"]} if more.get("dimensions") else {}),
    }
    if isinstance(place, str):
        made = zarr.create_array(place, zarr_format=more.get("format", 3), **options)
    else:
        made = place.create_array(inner_path(array.name), **options)
    if not array.shape:
        made[...] = array.records[:][0]
        return
    for start, part in array.records.parts():
        made[start : start + len(part)] = part


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename a folder that is whole to its place; what was there before is removed when it has a successor."""
    before = None
    if path.exists():
        before = path.with_name(f".{path.name[:40]}.{token_hex(4)}.before")
        path.rename(before)
    try:
        temporary.rename(path)
    except OSError:
        if before is not None:
            before.rename(path)
        raise
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)
