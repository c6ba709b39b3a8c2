// Writes a Parquet file: one row group, one page a column, plain and uncompressed, as the format's own
// description has it (github.com/apache/parquet-format; headers are Thrift's compact protocol).

const PARQUET = {
  boolean: { physical: 0 },
  date: { physical: 1, converted: 6, logical: 6 },
  int64: { physical: 2 },
  timestamp: { physical: 2, logical: 8 },
  float: { physical: 4 },
  double: { physical: 5 },
  text: { physical: 6, converted: 0, logical: 1 },
};

// Bytes that grow as they are written.
class Bytes {
  constructor() {
    this.size = 0;
    this.space = new Uint8Array(1 << 12);
    this.view = new DataView(this.space.buffer);
  }

  room(more) {
    const start = this.size;
    this.size += more;
    if (this.size > this.space.length) {
      const larger = new Uint8Array(Math.max(this.size, 2 * this.space.length));
      larger.set(this.space);
      this.space = larger;
      this.view = new DataView(larger.buffer);
    }
    return start;
  }

  put(bytes) {
    const start = this.room(bytes.length);
    this.space.set(bytes, start);
  }

  byte(value) {
    const start = this.room(1);
    this.space[start] = value;
  }

  uint32(value) {
    const start = this.room(4);
    this.view.setUint32(start, value, true);
  }

  // Seven bits a byte, the lowest first.
  varint(value) {
    let rest = value;
    while (rest > 127) {
      this.byte((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  whole() {
    return this.space.subarray(0, this.size);
  }
}

// ---------------------------------------------------------------- Thrift, compact protocol

// A value knows its type and how it is written: i32(1), text("a"), list(...), struct({ field: value }).
const i32 = (value) => ({ type: 5, write: (out) => out.varint(2 * value) });
const i64 = (value) => ({ type: 6, write: (out) => out.varint(2 * value) });
const truth = (value) => ({ type: value ? 1 : 2, write: () => {} });
const binary = (value) => ({
  type: 8,
  write(out) {
    const bytes = new TextEncoder().encode(value);
    out.varint(bytes.length);
    out.put(bytes);
  },
});
const list = (items) => ({
  type: 9,
  write(out) {
    out.byte((Math.min(items.length, 15) << 4) | (items.length ? items[0].type : 12));
    if (items.length > 14) out.varint(items.length);
    items.forEach((item) => item.write(out));
  },
});
const struct = (fields) => ({
  type: 12,
  write(out) {
    let last = 0;
    for (const [number, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      out.byte(((Number(number) - last) << 4) | value.type); // no field here is more than 15 from the last
      value.write(out);
      last = Number(number);
    }
    out.byte(0);
  },
});

// ---------------------------------------------------------------- pages

// Which values are there, one bit each, in one bit-packed run with its length before it.
function writePresence(out, values) {
  const groups = Math.ceil(values.length / 8);
  const run = new Bytes();
  run.varint(2 * groups + 1);
  run.put(packedBits(values, (value) => value !== null));
  out.uint32(run.size);
  out.put(run.whole());
}

function packedBits(values, isSet) {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  values.forEach((value, i) => {
    if (isSet(value)) bits[i >> 3] |= 1 << (i & 7);
  });
  return bits;
}

function writePlain(out, type, values) {
  if (type === "boolean") return out.put(packedBits(values, Boolean));
  if (type === "text") return values.forEach((value) => writeText(out, String(value)));
  const wide = type === "float" || type === "date" ? 4 : 8;
  const start = out.room(wide * values.length);
  const set = {
    float: (at, value) => out.view.setFloat32(at, value, true),
    double: (at, value) => out.view.setFloat64(at, value, true),
    date: (at, value) => out.view.setInt32(at, value, true),
    int64: (at, value) => out.view.setBigInt64(at, BigInt(value), true),
    timestamp: (at, value) => out.view.setBigInt64(at, BigInt(value), true),
  }[type];
  values.forEach((value, i) => set(start + wide * i, value));
  return undefined;
}

function writeText(out, text) {
  const bytes = new TextEncoder().encode(text);
  out.uint32(bytes.length);
  out.put(bytes);
}

function writeColumn(out, { name, type, values }) {
  const page = new Bytes();
  const complete = !values.includes(null);
  if (!complete) writePresence(page, values);
  writePlain(page, type, complete ? values : values.filter((value) => value !== null));
  const start = out.size;
  struct({
    1: i32(0), // a data page
    2: i32(page.size),
    3: i32(page.size),
    5: struct({ 1: i32(values.length), 2: i32(0), 3: i32(3), 4: i32(3) }),
  }).write(out);
  out.put(page.whole());
  const size = i64(out.size - start);
  return {
    bytes: out.size - start,
    element: schemaElement(name, type, complete),
    chunk: struct({
      2: i64(start),
      3: struct({
        1: i32(PARQUET[type].physical),
        2: list([i32(0), i32(3)]),
        3: list([binary(name)]),
        4: i32(0), // uncompressed
        5: i64(values.length),
        6: size,
        7: size,
        9: i64(start),
      }),
    }),
  };
}

function schemaElement(name, type, complete) {
  const { physical, converted, logical } = PARQUET[type];
  const microseconds = struct({ 1: truth(false), 2: struct({ 2: struct({}) }) }); // of no time zone
  return struct({
    1: i32(physical),
    3: i32(complete ? 0 : 1),
    4: binary(name),
    6: converted === undefined ? undefined : i32(converted),
    10: logical && struct({ [logical]: type === "timestamp" ? microseconds : struct({}) }),
  });
}

// Returns the file's bytes. Columns are { name, type, values }: names differ, values are as many in each, null
// where missing. A date is in days since 1970, a timestamp in microseconds.
function parquetFile(columns) {
  const out = new Bytes();
  const magic = new TextEncoder().encode("PAR1");
  out.put(magic);
  const written = columns.map((column) => writeColumn(out, column));
  const rows = i64(columns[0].values.length);
  const start = out.size;
  struct({
    1: i32(1),
    2: list([struct({ 4: binary("schema"), 5: i32(columns.length) }), ...written.map(({ element }) => element)]),
    3: rows,
    4: list([
      struct({
        1: list(written.map(({ chunk }) => chunk)),
        2: i64(written.reduce((sum, { bytes }) => sum + bytes, 0)),
        3: rows,
      }),
    ]),
    6: binary("refold"),
  }).write(out);
  out.uint32(out.size - start);
  out.put(magic);
  return out.whole();
}
