// What the page holds: numbers and texts of every column, read when they are first asked for.

const ARRAYS = { int8: Int8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };
const DAY = 864e5;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const kept = (name) => document.getElementById(name).textContent;

function bytes(base64) {
  const letters = atob(base64);
  const found = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
  return found;
}

function once(make) {
  let made;
  return () => (made ??= make());
}

function moment(milliseconds, length) {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? "?" : date.toISOString().slice(0, -5).replace("T", " ").slice(0, length);
}

const SAID = {
  number: (value) => String(Number(value.toPrecision(5))),
  whole: String,
  truth: (value) => (value ? "True" : "False"),
  date: (value) => moment(value * DAY, -9),
  time: (value) => moment(value / 1000),
};
const SAVED = { number: "double", whole: "int64", truth: "boolean", date: "date", time: "timestamp", text: "text" };

// A column: values(), at(i) as it is saved (null where missing), said(i) as it is shown, kinds() for its colours.
function readColumn(about) {
  const values = once(() => new ARRAYS[about.type](bytes(kept(`block-${about.values}`)).buffer));
  const texts = about.kind === "text" ? once(() => JSON.parse(kept(`block-${about.texts}`))) : null;
  const at = (i) => {
    const value = values()[i];
    if (texts) return texts()[value];
    return Number.isNaN(value) ? null : value;
  };
  return {
    ...about,
    values,
    texts,
    at,
    said(i) {
      const value = at(i);
      return value === null ? "missing" : texts ? value : SAID[about.kind](value);
    },
    kinds: once(() => bytes(kept(`block-${about.kinds}`))),
    saved: about.kind === "number" && about.type === "float32" ? "float" : SAVED[about.kind],
  };
}

function readData() {
  const data = JSON.parse(kept("data"));
  const columns = data.columns.map(readColumn);
  const axes = data.axes.map(readColumn);
  const rows = data.rows && readColumn(data.rows);
  const labels = data.labels && readColumn(data.labels);
  const row = (i) => (rows ? rows.at(i) : i);
  return {
    ...data,
    columns,
    axes,
    row,
    labels,
    all: [...columns, ...axes],
    name: (i) => (labels ? labels.said(i) : `row ${row(i)}`),
  };
}

// ---------------------------------------------------------------- places

// The same numbers in every browser and at every opening, for orders and spreads by chance.
function chance(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

// Every point once, in an order in which no class lies over another merely by coming later in the data.
function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const draw = chance(7);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

// Places x right, y up, z toward the reader, nearly all within 1 of the middle; one scale for all axes, unless
// one of them would be squeezed to a line.
function placePoints(axes, count) {
  const halves = axes.map(({ reach: [low, high] }) => high / 2 - low / 2);
  const largest = Math.max(...halves) || 1;
  const scales = halves.map((half) => (half > 0 && half * 8 < largest ? half : largest));
  const extents = halves.map((half, k) => Math.max(half / scales[k], 0.02));
  const places = new Float32Array(3 * count);
  const [slots, signs] = axes.length === 3 ? [[0, 2, 1], [1, -1, 1]] : [[0, 1], [1, 1]];
  axes.forEach((axis, k) => {
    const values = axis.values();
    const middle = axis.reach[0] / 2 + axis.reach[1] / 2;
    for (let i = 0; i < count; i++) places[3 * i + slots[k]] = ((values[i] - middle) / scales[k]) * signs[k];
  });
  if (axes.length === 1) {
    const draw = chance(1);
    for (let i = 0; i < count; i++) places[3 * i + 1] = 0.24 * (draw() - 0.5);
  }
  return { places, scales, extents: axes.length === 1 ? [extents[0], 0.2] : extents, flat: axes.length < 3 };
}
