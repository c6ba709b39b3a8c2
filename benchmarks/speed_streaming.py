"""Make a large Parquet file, and learn from it either as it streams from disk or as an array in memory.

Run as a script it prints one line of JSON; the peak of memory is that of this process, imports included.
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

Array = np.ndarray

COLUMNS, FACTORS = 30, 5
CHUNK = 250_000  # rows made, and written as one row group, at a time


def main() -> None:
    """Do what is asked and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "stream", "hold"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--max-memory", type=int)
    options = parser.parse_args()
    if options.what == "make":
        write_parquet(options.path, options.rows)
        print(json.dumps({"bytes": options.path.stat().st_size}))
    else:
        print("\n" + json.dumps(_learned(options.path, options.max_memory, streams=options.what == "stream")))


def make_rows(number: int, count: int) -> Array:
    """Return rows of 30 columns that lie, bent, along 5 factors; the same for the same `number`."""
    directions = np.random.default_rng(0).standard_normal((FACTORS, COLUMNS), np.float32)
    factors = np.random.default_rng((1, number)).standard_normal((count, FACTORS), np.float32)
    linear = factors @ directions
    return linear + np.tanh(2 * linear)


def write_parquet(path: Path, rows: int) -> None:
    """Write rows chunk by chunk."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"column_{place}" for place in range(COLUMNS)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for values in _chunks(rows):
            writer.write_table(pa.table(list(np.ascontiguousarray(values.T)), schema=schema))


def _chunks(rows: int) -> Iterator[Array]:
    for number, start in enumerate(range(0, rows, CHUNK)):
        yield make_rows(number, min(CHUNK, rows - start))


def _learned(path: Path, max_memory: int | None, *, streams: bool) -> dict[str, float]:
    import time

    import pyarrow.parquet as pq

    from refold import Autoencoder

    rows = pq.ParquetFile(path).metadata.num_rows
    data = str(path) if streams else _read(path)
    limit = {"max_memory": max_memory} if streams else {}
    start = time.perf_counter()
    model = Autoencoder(latent_dim=3, hidden=(64, 32), max_epochs=1, random_state=0, **limit).fit(data)
    whole = time.perf_counter() - start
    epoch = model.history_["seconds"][0]
    error = model.history_["validation_error"][0]
    return {"rate": rows / epoch, "rate_of_fit": rows / whole, "error": error, "peak": peak_memory()}


def _read(path: Path) -> Array:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    values = np.empty((table.num_rows, table.num_columns), np.float32)
    for place, column in enumerate(table.columns):
        values[:, place] = column.to_numpy()
    return values


def peak_memory() -> int:
    """Return the most bytes that were resident in this process.

    On Linux the figure of `getrusage` begins at what the parent held when it started this process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
