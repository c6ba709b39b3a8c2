"""The part ``tables`` of `compress.py`: the second halves of tables without loss, after the first were learned."""

import functools
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
import pcodec
import pyarrow as pa
import zstandard
from compress_running import (
    Array,
    Coded,
    Settings,
    Trial,
    lzma_back,
    lzma_filters,
    lzma_there,
    run_ours,
    said,
    same,
    smallest,
    talk,
)
from pcodec import standalone
from pyarrow import parquet
from speed_running import header, table_line
from tables import find_tables

TABLES = ("satellite", "letter", "pendigits", "shuttle")
ORDERS = ("rows", "columns", "columns, bytes apart")
LZMA_BITS = ((3, 0, 2), (3, 0, 0), (0, 0, 0), (4, 0, 0), (0, 1, 1), (0, 3, 3))
MOST_DELTA = 256
AFTER_FIRST = ", after the first half"
AFTER_FIRST = ", after the first half"
SMALLER_BY = 0.08
PARQUET_LEVEL = 22
Coder = Callable[[bytes], bytes]
COLUMN_ENCODINGS = ("PLAIN", "BYTE_STREAM_SPLIT", "DELTA_BINARY_PACKED", "RLE_DICTIONARY")


def tables(settings: Settings) -> list[str]:
    """Return the table."""
    found = {name: peers(*halves) for name, halves in _halves().items()}
    names = list(next(iter(found.values())))
    lines = [*header("second half, bytes", *(f"{name}, {_about_table(name)}" for name in TABLES))]
    for peer in names:
        cells = [f"{coded.size:,} ({coded.setting})" for coded in (found[table][peer] for table in TABLES)]
        lines.append(table_line(peer, *cells))
    if not settings.peers_only:
        lines += _ours(found)
    return [*lines, "", _about()]


@functools.cache
def _halves() -> dict[str, tuple[Array, Array]]:
    """Return first and second halves of the tables, in the file's own type."""
    found = {}
    paths = {path.stem: path for path in find_tables()}
    for name in TABLES:
        if name not in paths:
            raise SystemExit(f"{name}.npz was not found: put it into $REFOLD_DATA or ../shared/data/tables")
        with np.load(paths[name], allow_pickle=False) as arrays:
            rows = np.ascontiguousarray(arrays["X"])
        found[name] = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    return found


def _about_table(name: str) -> str:
    rows = _halves()[name][1]
    return f"{len(rows):,} x {rows.shape[1]} {rows.dtype}, {rows.nbytes:,}"


def peers(first: Array, rows: Array) -> dict[str, Coded]:
    """Return what each peer came to; `first` serves only those that are named so."""
    found = {}
    for name, trials in {
        "lzma": _lzma(rows),
        "zstd-19": _zstd(rows, 19),
        "zstd-22": _zstd(rows, 22),
        f"Parquet, zstd-{PARQUET_LEVEL}": _parquet(rows),
        "pcodec": _pcodec(rows),
        f"lzma{AFTER_FIRST}": _lzma_after(first, rows),
        f"zstd-22{AFTER_FIRST}": _zstd(rows, 22, first),
    }.items():
        talk(f"{name} on {rows.shape}")
        found[name] = smallest(trials, same(rows))
    return found


# --- orders of the bytes -------------------------------------------------------------------------------------------


def ordered(rows: Array, order: str) -> bytes:
    """Return the bytes of a table row by row, column by column, or so with the bytes of numbers apart."""
    if order == "rows":
        return rows.tobytes()
    columns = np.ascontiguousarray(rows.T)
    if order == "columns":
        return columns.tobytes()
    return np.ascontiguousarray(columns.view(np.uint8).reshape(*columns.shape, -1).swapaxes(1, 2)).tobytes()


def in_rows(data: bytes, order: str, like: Array) -> Array:
    """Return the table of such bytes."""
    if order == "rows":
        return np.frombuffer(data, like.dtype).reshape(like.shape)
    if order == "columns":
        return np.ascontiguousarray(np.frombuffer(data, like.dtype).reshape(like.shape[::-1]).T)
    planes = np.frombuffer(data, np.uint8).reshape(like.shape[1], like.dtype.itemsize, len(like))
    columns = np.ascontiguousarray(planes.swapaxes(1, 2)).view(like.dtype)[..., 0]
    return np.ascontiguousarray(columns.T)


def _orders(rows: Array) -> tuple[str, ...]:
    return ORDERS if rows.dtype.itemsize > 1 else ORDERS[:2]


# --- peers ---------------------------------------------------------------------------------------------------------


def _trial(setting: str, rows: Array, order: str, there: Coder, back: Coder) -> Trial:
    """Return a tool that knows bytes as a trial on a table in an order."""
    return Trial(setting, lambda: there(ordered(rows, order)), lambda blob: in_rows(back(blob), order, rows))


def _lzma(rows: Array) -> Iterator[Trial]:
    """Yield lzma in each order, with bits of its context, and with the number or the row before subtracted."""
    row = rows.shape[1] * rows.dtype.itemsize
    deltas = {0, rows.dtype.itemsize, *([row] if row <= MOST_DELTA else [])}
    for order, bits, delta in itertools.product(_orders(rows), LZMA_BITS, sorted(deltas)):
        setting = f"{order}, lc {bits[0]} lp {bits[1]} pb {bits[2]}{f', delta {delta}' if delta else ''}"
        filters = lzma_filters(*bits, delta=delta)
        there, back = (functools.partial(way, filters=filters) for way in (lzma_there, lzma_back))
        yield _trial(setting, rows, order, there, back)


def _lzma_after(first: Array, rows: Array) -> Iterator[Trial]:
    """Yield lzma in each order with the first half before: bytes of both without those of the first alone."""
    for order, bits in itertools.product(_orders(rows), LZMA_BITS):
        trial = _after(ordered(first, order), rows, order, lzma_filters(*bits))
        yield replace(trial, setting=f"{order}, lc {bits[0]} lp {bits[1]} pb {bits[2]}")


def _after(before: bytes, rows: Array, order: str, filters: list[dict[str, int]]) -> Trial:
    return Trial(
        "",
        lambda: lzma_there(before + ordered(rows, order), filters),
        lambda blob: in_rows(lzma_back(blob, filters)[len(before) :], order, rows),
        lambda blob: len(blob) - len(lzma_there(before, filters)),
    )


def _zstd(rows: Array, level: int, first: Array | None = None) -> Iterator[Trial]:
    """Yield zstd in each order; the first half in the same order may be its dictionary."""
    for order in _orders(rows):
        more = {"dict_data": _dictionary(first, order)} if first is not None else {}
        there = zstandard.ZstdCompressor(level=level, **more).compress
        yield _trial(order, rows, order, there, zstandard.ZstdDecompressor(**more).decompress)


def _dictionary(first: Array, order: str) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(ordered(first, order), dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _parquet(rows: Array) -> Iterator[Trial]:
    """Yield Parquet with the encoding of each column that makes it smallest."""
    table = pa.table({str(number): np.ascontiguousarray(column) for number, column in enumerate(rows.T)})
    sizes = {encoding: _column_sizes(table, encoding) for encoding in COLUMN_ENCODINGS}
    sizes = {encoding: found for encoding, found in sizes.items() if found}
    best = [min(sizes, key=lambda encoding: sizes[encoding][number]) for number in range(rows.shape[1])]
    yield Trial(
        " and ".join(sorted(set(best))).lower(),
        lambda: _parquet_there(table, dict(zip(table.column_names, best, strict=True))),
        _parquet_back,
    )


def _column_sizes(table: pa.Table, encoding: str) -> list[int]:
    """Return the bytes of each column with an encoding, none where it is not for this type."""
    try:
        file = parquet.ParquetFile(io.BytesIO(_parquet_there(table, dict.fromkeys(table.column_names, encoding))))
    except (OSError, pa.ArrowException):
        return []
    group = file.metadata.row_group(0)
    return [group.column(number).total_compressed_size for number in range(group.num_columns)]


def _parquet_there(table: pa.Table, encodings: dict[str, str]) -> bytes:
    plain = {name: encoding for name, encoding in encodings.items() if encoding != "RLE_DICTIONARY"}
    file = io.BytesIO()
    parquet.write_table(
        table,
        file,
        compression="zstd",
        compression_level=PARQUET_LEVEL,
        row_group_size=len(table),
        write_statistics=False,
        store_schema=False,
        use_dictionary=[name for name in encodings if name not in plain],
        column_encoding=plain or None,
    )
    return file.getvalue()


def _parquet_back(blob: bytes) -> Array:
    columns = parquet.read_table(io.BytesIO(blob)).columns
    return np.ascontiguousarray(np.stack([column.to_numpy() for column in columns], axis=1))


def _pcodec(rows: Array) -> Iterator[Trial]:
    """Yield pcodec on each column by its best way of differences, and on the rows as one."""
    yield Trial(
        "columns",
        lambda: [_pcodec_there(column) for column in np.ascontiguousarray(rows.T)],
        lambda blobs: np.ascontiguousarray(np.stack([standalone.simple_decompress(blob) for blob in blobs], axis=1)),
        lambda blobs: sum(map(len, blobs)),
    )
    yield Trial(
        "rows",
        lambda: _pcodec_there(rows.reshape(-1)),
        lambda blob: standalone.simple_decompress(blob).reshape(rows.shape),
    )


def _pcodec_there(values: Array) -> bytes:
    specs = [pcodec.DeltaSpec.auto(), pcodec.DeltaSpec.no_op(), pcodec.DeltaSpec.try_lookback()]
    return min((standalone.simple_compress(values, _pcodec_config(spec)) for spec in specs), key=len)


def _pcodec_config(spec: Any) -> pcodec.ChunkConfig:
    config = pcodec.ChunkConfig(compression_level=12, delta_spec=spec)
    config.enable_8_bit = True
    return config


# --- ours ----------------------------------------------------------------------------------------------------------


def _ours(peers: dict[str, dict[str, Coded]]) -> list[str]:
    """Return our lines, learned on first halves, and the verdicts."""
    found = {table: run_ours(*_halves()[table], max_error=0) for table in TABLES}
    lines, verdicts = [], []
    for place, (name, _, _) in enumerate(found[TABLES[0]].sizes()):
        sizes = {table: found[table].sizes()[place] for table in TABLES}
        wrong = {table: not same(_halves()[table][1])(_as_coded(decoded)) for table, (_, _, decoded) in sizes.items()}
        cells = [f"{size:,}{' **DECODED WRONGLY**' if wrong[table] else ''}" for table, (_, size, _) in sizes.items()]
        lines.append(table_line(name, *cells))
        for told in (False, True):
            best = {table: _smallest(peers[table], told) for table in TABLES}
            saved = mean(1 - size / best[table] for table, (_, size, _) in sizes.items())
            reached = said(saved >= SMALLER_BY and not any(wrong.values()), f"{SMALLER_BY - saved:.1%}")
            of = f"the best that {'may have' if told else 'has not'} seen the first half"
            verdicts.append(f"- {name}: {saved:.1%} smaller than {of}, mean, target {SMALLER_BY:.0%} {reached}")
    return [*lines, "", *verdicts]


def _smallest(peers: dict[str, Coded], told: bool) -> int:
    """Return the bytes of the best peer, of all or of those that know nothing of the first half."""
    return min(coded.size for name, coded in peers.items() if told or not name.endswith(AFTER_FIRST))


def _as_coded(decoded: Array) -> Coded:
    return Coded("", 0, 0, 0, decoded)


def _about() -> str:
    return (
        "Bytes of the second half of the rows, in the type of the file, and the setting that is best. lzma at its "
        "strongest without container, by rows, columns, or columns with the bytes of numbers apart, with or without "
        "the delta filter; Parquet with the best encoding of every column, without statistics; pcodec at level 12, "
        "a file a column. Two lines have the first half before them, which ours learns from: zstd as its dictionary; "
        "lzma codes both halves, and the bytes of the first are taken off. The others know nothing of it. Everything "
        "was decoded and compared."
    )
