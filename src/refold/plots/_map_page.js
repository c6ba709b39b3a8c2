// The page around the map: what is shown and how, the point under the pointer, and the points that are chosen.

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const TURNS_PER_MILLISECOND = 0.00016;
const ZOOM = { least: 0.3, most: 4000 };
const MOST_LINES = 14;
const IN_STRIP = 60;

function add(parent, tag, className = "", text = undefined) {
  const element = document.createElement(tag);
  element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function button(parent, className, text, title, act) {
  const made = add(parent, "button", className, text);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", act);
  return made;
}

function field(parent, name) {
  const label = add(parent, "label", "field");
  add(label, "span", "", name);
  return label;
}

function select(parent, name, options, value, act) {
  const made = add(field(parent, name), "select");
  options.forEach(([text, key]) => {
    const option = add(made, "option", "", text);
    option.value = key;
  });
  made.value = value;
  made.addEventListener("change", () => act(made.value));
  return made;
}

function slider(parent, name, least, most, act) {
  const made = add(field(parent, name), "input");
  Object.assign(made, { type: "range", min: least, max: most, step: 0.01, value: 0 });
  made.addEventListener("input", () => act(2 ** Number(made.value)));
  return made;
}

const counted = (number) => number.toLocaleString("en");
const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// ---------------------------------------------------------------- what is under the pointer

function addTip(stage, data, thumbnails) {
  const ring = add(stage, "div", "ring");
  const tip = add(stage, "div", "tip");
  const picture = thumbnails && add(tip, "canvas");
  const name = add(tip, "strong");
  const lines = add(tip, "dl");
  let shown = -1;
  function fill(i, colour) {
    name.textContent = shortened(data.name(i), 80);
    lines.replaceChildren();
    const columns = [colour, ...data.all.filter((column) => column !== colour)].filter(Boolean);
    columns.slice(0, MOST_LINES).forEach((column) => {
      add(lines, "dt", "", shortened(column.name, 40));
      add(lines, "dd", "", shortened(column.said(i), 80));
    });
    if (columns.length > MOST_LINES) add(lines, "dt", "", `and ${columns.length - MOST_LINES} more`);
    if (picture) thumbnails.draw(picture, i, 128);
  }
  return (i, at, eye, colour) => {
    tip.hidden = ring.hidden = i < 0;
    if (i !== shown && i >= 0) fill(i, colour);
    shown = i;
    if (i < 0) return;
    ring.style.transform = `translate(${at.x}px, ${at.y}px)`;
    const [wide, tall] = [tip.offsetWidth, tip.offsetHeight];
    const x = at.x + 18 + wide < eye.width ? at.x + 18 : at.x - wide - 18;
    const [left, top] = [clamp(x, 6, eye.width - wide - 6), clamp(at.y - tall / 2, 6, Math.max(6, eye.height - tall - 6))];
    tip.style.transform = `translate(${left}px, ${top}px)`;
  };
}

// ---------------------------------------------------------------- the legend

function fillLegend(legend, column, hidden, changed) {
  legend.replaceChildren();
  if (!column) return;
  if (column.scale) addScale(legend, column);
  const switches = column.classes.map(({ name, count, kind }) => {
    const one = button(legend, "switch", "", "Click to switch this class on or off, double-click to see it alone", () => {
      if (!hidden.delete(kind)) hidden.add(kind);
      show();
    });
    add(one, "i").style.setProperty("--kind", column.palette[kind]);
    add(one, "span", "", name);
    add(one, "small", "", count);
    one.addEventListener("dblclick", () => {
      const others = column.classes.filter((other) => other.kind !== kind);
      const alone = !hidden.has(kind) && others.every((other) => hidden.has(other.kind));
      hidden.clear();
      if (!alone) others.forEach((other) => hidden.add(other.kind));
      show();
    });
    return [one, kind];
  });
  function show() {
    switches.forEach(([one, kind]) => one.setAttribute("aria-pressed", String(!hidden.has(kind))));
    changed();
  }
  switches.forEach(([one]) => one.setAttribute("aria-pressed", "true"));
}

function addScale(legend, { scale, palette, kinds }) {
  const bar = add(legend, "div", "bar");
  const steps = palette.slice(0, scale.steps).map((hex) => `color-mix(in srgb, ${hex}, white var(--lift))`);
  add(bar, "i").style.background = `linear-gradient(90deg, ${steps})`;
  const ends = add(bar, "div");
  add(ends, "span", "", scale.low);
  add(ends, "span", "", scale.high);
  const missing = kinds().reduce((sum, kind) => sum + (kind === scale.steps), 0);
  if (!missing) return;
  const note = add(legend, "p", "switch");
  add(note, "i").style.setProperty("--kind", palette[scale.steps]);
  add(note, "span", "", "missing");
  add(note, "small", "", counted(missing));
}

// ---------------------------------------------------------------- hands

function listen(stage, { move, turn, zoom, hover, click, lasso, key }) {
  const fingers = new Map();
  let [moved, way, spreadBefore] = [0, null, 0];
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const middle = () => {
    const all = [...fingers.values()];
    return [0, 1].map((k) => all.reduce((sum, at) => sum + at[k], 0) / all.length);
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
  };
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    stage.focus({ preventScroll: true });
    fingers.set(event.pointerId, place(event));
    stage.setPointerCapture(event.pointerId);
    moved = 0;
    way = fingers.size === 1 && event.button === 0 && lasso.wanted(event) ? [place(event)] : null;
    if (fingers.size === 2) spreadBefore = spread();
  });
  stage.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const before = fingers.get(event.pointerId);
    if (!before) return event.target.closest("button") ? hover(-99, -99) : hover(x, y);
    const [fromX, fromY] = middle();
    fingers.set(event.pointerId, [x, y]);
    moved += Math.hypot(x - before[0], y - before[1]);
    if (way) {
      way.push([x, y]);
      return lasso.draw(way);
    }
    const [toX, toY] = middle();
    if (fingers.size === 2) {
      zoom(spread() / spreadBefore, toX, toY);
      spreadBefore = spread();
      move(toX - fromX, toY - fromY);
    } else if (event.buttons & 2 || event.ctrlKey || event.metaKey) move(toX - fromX, toY - fromY);
    else turn(toX - fromX, toY - fromY);
    return undefined;
  });
  ["pointerup", "pointercancel"].forEach((name) =>
    stage.addEventListener(name, (event) => {
      if (!fingers.delete(event.pointerId)) return;
      if (way && moved > 6) lasso.close(way, event);
      else if (moved < 6 && name === "pointerup") click(...place(event), event.pointerType === "mouse" ? 14 : 28);
      way = null;
      lasso.draw([]);
    }),
  );
  stage.addEventListener("pointerleave", () => hover(-99, -99));
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode ? 20 : 1;
      zoom(Math.exp(-clamp(event.deltaY * lines, -120, 120) * 0.0028), ...place(event));
    },
    { passive: false },
  );
  stage.addEventListener("keydown", (event) => {
    if (event.target !== stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const centre = [stage.clientWidth / 2, stage.clientHeight / 2];
    const keys = {
      ArrowLeft: () => turn(-24, 0), ArrowRight: () => turn(24, 0), ArrowUp: () => turn(0, -24), ArrowDown: () => turn(0, 24),
      "+": () => zoom(1.25, ...centre), "=": () => zoom(1.25, ...centre), "-": () => zoom(0.8, ...centre), ...key,
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}

function drawWay(canvas, way, density) {
  canvas.hidden = way.length < 2; // what is not seen is not laid over the rest
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (way.length < 2) return;
  const style = getComputedStyle(canvas);
  [pen.strokeStyle, pen.fillStyle] = [style.getPropertyValue("--accent"), style.getPropertyValue("--accent")];
  pen.beginPath();
  way.forEach(([x, y]) => pen.lineTo(x, y));
  pen.closePath();
  pen.globalAlpha = 0.12;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5;
  pen.setLineDash([6, 4]);
  pen.stroke();
}

// ---------------------------------------------------------------- what is chosen

function savedColumns(data, chosen) {
  const taken = new Set();
  const free = (name) => {
    let found = name;
    for (let n = 2; taken.has(found); n++) found = `${name} (${n})`;
    taken.add(found);
    return found;
  };
  const row = { name: free("row"), type: "int64", values: chosen.map(data.row) };
  const columns = [...(data.labels ? [data.labels] : []), ...data.axes, ...data.columns];
  return [row, ...columns.map((column) => ({ name: free(column.name), type: column.saved, values: chosen.map(column.at) }))];
}

function save(name, parts, type) {
  const link = document.createElement("a");
  link.download = name;
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function addStrip(main, data, thumbnails, { point, clear }) {
  const strip = add(main, "section", "chosen");
  strip.hidden = true;
  const head = add(strip, "div", "chosen-head");
  const count = add(head, "strong");
  count.setAttribute("role", "status");
  const makeup = add(head, "span", "makeup");
  let chosen = [];
  button(head, "main-button", "Save as Parquet", "Row, name, numbers and columns of the chosen records", () =>
    save("chosen.parquet", [parquetFile(savedColumns(data, chosen))], "application/vnd.apache.parquet"),
  );
  button(head, "", "Clear", "Choose nothing (Escape)", clear);
  const some = add(strip, "div", "some");
  return (now, colour) => {
    chosen = now;
    strip.hidden = !now.length;
    count.textContent = `${counted(now.length)} of ${counted(data.count)} chosen`;
    makeup.textContent = colour ? madeOf(now, colour) : "";
    some.replaceChildren();
    const shown = Math.min(now.length, IN_STRIP);
    for (let n = 0; n < shown; n++) {
      const i = now[Math.floor((n * now.length) / shown)];
      const one = button(some, "one", thumbnails ? "" : shortened(data.name(i), 30), shortened(data.name(i), 80), () => point(i));
      if (thumbnails) thumbnails.draw(add(one, "canvas"), i, 56);
      one.addEventListener("pointerenter", () => point(i));
    }
  };
}

// The commonest classes among some points, or the middle of their numbers.
function madeOf(chosen, column) {
  if (column.scale) {
    const known = chosen.filter((i) => column.at(i) !== null).sort((a, b) => column.values()[a] - column.values()[b]);
    return known.length ? `${column.name}: ${column.said(known[known.length >> 1])} in the middle` : "";
  }
  const counts = new Map();
  const kinds = column.kinds();
  chosen.forEach((i) => counts.set(kinds[i], (counts.get(kinds[i]) || 0) + 1));
  const largest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 5);
  return largest.map(([kind, count]) => `${shortened(column.classes[kind].name, 24)}: ${counted(count)}`).join(" · ");
}

// Records whose name, or one of whose texts, holds what is looked for.
function found(data, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const texts = [data.labels, ...data.columns].filter((column) => column && column.texts);
  const hits = texts.map((column) => {
    const matches = column.texts().map((name) => name !== null && name.toLowerCase().includes(wanted));
    return (i) => matches[column.values()[i]];
  });
  if (!data.labels) hits.push((i) => String(data.row(i)) === wanted);
  return Array.from({ length: data.count }, (_, i) => i).filter((i) => hits.some((hit) => hit(i)));
}

// ---------------------------------------------------------------- one map

function openMap() {
  const data = readData();
  const main = document.getElementById("map");
  const thumbnails = thumbnailsOf(data.tile);
  const stage = add(main, "div", "stage");
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-label", `Map of ${counted(data.count)} records. Arrow keys move or turn, plus and minus zoom, A chooses all, Escape none.`);
  const [frame, first, album, over] = ["", "", "over", "over"].map((name) => add(stage, "canvas", name));
  over.hidden = true;
  const showTip = addTip(stage, data, thumbnails);
  const side = add(main, "aside");

  let axes = data.axes.slice(0, 3);
  const points = {
    count: data.count,
    order: shuffled(data.count),
    cloud: placePoints(axes, data.count),
    kinds: new Uint8Array(data.count),
    chosen: new Uint8Array(data.count),
    anyChosen: false,
    hidden: new Set(),
    tints: [],
    versions: { places: 0, kinds: 0, chosen: 0 },
  };
  // The stage that the cloud is fitted to: it stays when the strip below takes a part of it, so that nothing jumps.
  const fitted = () => ({ width: stage.clientWidth, height: stage.clientHeight });
  const start = () => ({ turn: -0.6, tilt: 0.32, zoom: 1, panX: 0, panY: 0, fitted: fitted() });
  const view = { ...start(), size: 1, strength: 1 };
  let [colour, canvas, paint] = [null, first, null];
  let [pointed, pinned, pointer, chosen, lassoing, turning, last, asked] = [-1, false, null, [], false, false, 0, false];
  let [eye, seen, dirty, shelf, pictureAt] = [null, null, true, null, () => -1];

  // A picture is painted when something has changed, and at no other time.
  function ask() {
    if (!asked) requestAnimationFrame(step);
    asked = true;
  }
  function change() {
    dirty = true;
    seen = null;
    ask();
  }
  function look() {
    const density = Math.min(devicePixelRatio || 1, 2);
    return openEye(view, { width: stage.clientWidth, height: stage.clientHeight, density }, points.cloud, data.count);
  }
  const sighted = () => (seen ??= sight((eye = look()), points));

  function step(now) {
    asked = false;
    const passed = Math.min(now - last, 60);
    last = now;
    if (turning) {
      view.turn += passed * TURNS_PER_MILLISECOND;
      change();
    }
    if (!stage.clientWidth || !stage.clientHeight) return;
    if (dirty) draw();
    if (pointer && !pinned) pointed = recordAt(...pointer);
    showPointed();
  }
  function draw() {
    dirty = false;
    eye = look();
    [frame, canvas, album, over].forEach((one) => {
      const [width, height] = [Math.round(eye.width * eye.density), Math.round(eye.height * eye.density)];
      if (one.width !== width) one.width = width;
      if (one.height !== height) one.height = height;
    });
    drawFrame(frame, eye, axes, points.cloud);
    paint(eye, paint.byHand ? sighted() : null);
    album.hidden = !shelf;
    pictureAt = drawPictures(album, eye, shelf && sighted(), points, thumbnails, shelf);
  }
  function recordAt(x, y, within) {
    const pictured = pictureAt(x, y);
    return pictured < 0 ? nearest(sighted(), points, x, y, within) : pictured;
  }
  function showPointed() {
    if (pointed >= 0 && points.hidden.has(points.kinds[pointed])) pointed = -1;
    const at = pointed < 0 ? null : project(eye, ...points.cloud.places.subarray(3 * pointed, 3 * pointed + 3));
    showTip(pointed, at, eye, colour);
  }

  function choosePainter() {
    paint = paintWithWebGL(canvas, points);
    if (!paint) paintPlainly();
    canvas.addEventListener("webglcontextlost", paintPlainly);
  }
  function paintPlainly() {
    const fresh = canvas.cloneNode();
    canvas.replaceWith(fresh);
    canvas = fresh;
    paint = Object.assign(paintByHand(canvas, points), { byHand: true });
    change();
  }

  // ------------------------------ what is shown

  function tint() {
    const palette = colour ? colour.palette : ["#2f7fd1"];
    points.tints = palette.map((hex, kind) => [...channels(hex), points.hidden.has(kind) ? 0 : 1]);
    while (points.tints.length < 72) points.tints.push([0, 0, 0, 0]);
    change();
  }
  function colourBy(column) {
    colour = column;
    points.kinds = column ? column.kinds() : new Uint8Array(data.count);
    points.versions.kinds += 1;
    points.hidden.clear();
    fillLegend(legend, column, points.hidden, tint);
    showChosen(chosen, column);
    const again = pointed;
    pointed = -1;
    showTip(-1);
    pointed = again;
    tint();
  }
  function showAxes(now) {
    axes = now;
    points.cloud = placePoints(axes, data.count);
    points.versions.places += 1;
    reset();
  }
  function reset() {
    Object.assign(view, start());
    change();
  }
  function choose(now) {
    chosen = now;
    points.chosen = new Uint8Array(data.count);
    now.forEach((i) => (points.chosen[i] = 1));
    points.anyChosen = now.length > 0;
    points.versions.chosen += 1;
    showChosen(now, colour);
    change();
  }
  function shownPoints() {
    return Array.from(points.kinds.keys()).filter((i) => !points.hidden.has(points.kinds[i]));
  }
  function point(i) {
    [pointed, pinned, pointer] = [i, i >= 0, null];
    ask();
  }

  // ------------------------------ the controls

  const tools = add(stage, "div", "tools");
  const lassoButton = button(tools, "", "Lasso", "Draw around points to choose them (L, or Shift and drag)", () => setLasso(!lassoing));
  function setLasso(on) {
    lassoing = on;
    lassoButton.setAttribute("aria-pressed", String(on));
    stage.classList.toggle("lassoing", on);
  }
  const picturesButton = button(tools, "", "Pictures", "Show pictures of some records at their points (P)", () => {
    shelf = shelf ? null : shelfOf(thumbnails, change);
    picturesButton.setAttribute("aria-pressed", String(Boolean(shelf)));
    change();
  });
  picturesButton.hidden = !thumbnails;
  function setTurning(on) {
    turning = on;
    turnButton.setAttribute("aria-pressed", String(on));
    ask();
  }
  const turnButton = button(tools, "", "Turn", "Turn by itself (T)", () => setTurning(!turning));
  const spaceButton = button(tools, "", "2-D", "See two of the numbers, or three in space (D)", () => {
    setTurning(false);
    showAxes(points.cloud.flat ? threeOf(axes) : axes.slice(0, 2));
    updateSpace();
  });
  button(tools, "", "Reset", "See everything (0)", reset);
  const threeOf = (two) => [...two, data.axes.find((axis) => !two.includes(axis))];
  function updateSpace() {
    spaceButton.textContent = points.cloud.flat ? "3-D" : "2-D";
    spaceButton.hidden = data.axes.length < 3;
    turnButton.hidden = points.cloud.flat;
    selects.forEach((one, k) => {
      one.parentElement.hidden = !axes[k];
      one.previousElementSibling.textContent = ["To the right", points.cloud.flat ? "Upward" : "Away", "Upward"][k];
      if (axes[k]) one.value = String(data.axes.indexOf(axes[k]));
    });
  }

  if (data.all.length) {
    const options = [...data.all.map((column, k) => [shortened(column.name, 60), String(k)]), ["one colour", ""]];
    const first = Math.max(0, data.columns.findIndex(({ name }) => name === data.colour));
    select(side, "Colour", options, data.columns.length ? String(first) : "", (key) => colourBy(key ? data.all[key] : null));
  }
  const legend = add(side, "div", "legend");
  const more = add(side, "details", "more"); // always open beside a wide map
  add(more, "summary", "", "More");
  const narrow = matchMedia("(max-width: 760px)");
  const unfold = () => (more.open = !narrow.matches);
  narrow.addEventListener("change", unfold);
  unfold();
  const names = data.axes.map(({ name }, k) => [name, String(k)]);
  const selects = data.axes.length < 4 ? [] : [0, 1, 2].map((k) =>
    select(more, "", names, String(k), (key) => {
      const wanted = data.axes[key];
      const now = axes.slice();
      if (now.includes(wanted)) now[now.indexOf(wanted)] = now[k]; // the two change places
      now[k] = wanted;
      showAxes(now);
      updateSpace();
    }),
  );
  const search = add(field(more, "Search"), "input");
  Object.assign(search, { type: "search", placeholder: data.labels || data.columns.some(({ texts }) => texts) ? "a name or a text" : "a row" });
  search.addEventListener("change", () => choose(found(data, search.value)));
  slider(more, "Size of points", -2, 2, (value) => {
    view.size = value;
    change();
  });
  slider(more, "Strength of colour", -3, 1.5, (value) => {
    view.strength = value;
    change();
  });
  addNotes(more, data);
  const showChosen = addStrip(main, data, thumbnails, { point, clear: () => choose([]) });

  // ------------------------------ hands

  const pan = (dx, dy) => {
    [view.panX, view.panY] = [view.panX + dx, view.panY + dy];
    change();
  };
  listen(stage, {
    move: pan,
    turn(dx, dy) {
      if (points.cloud.flat) return pan(dx, dy);
      setTurning(false);
      [view.turn, view.tilt] = [view.turn + dx * 0.008, clamp(view.tilt + dy * 0.008, -1.57, 1.57)];
      return change();
    },
    zoom(factor, x, y) {
      const before = view.zoom;
      view.zoom = clamp(before * factor, ZOOM.least, ZOOM.most);
      const grown = view.zoom / before;
      const [fromX, fromY] = [x - view.fitted.width / 2, y - view.fitted.height / 2];
      view.panX = fromX - (fromX - view.panX) * grown;
      view.panY = fromY - (fromY - view.panY) * grown;
      change();
    },
    hover(x, y) {
      pointer = [x, y, 14];
      ask();
    },
    click(x, y, within) {
      point(recordAt(x, y, within));
    },
    lasso: {
      wanted: (event) => lassoing || event.shiftKey,
      draw: (way) => drawWay(over, way, eye.density),
      close(way, event) {
        point(-1);
        const within = inside(sighted(), points, way);
        const set = new Set(within);
        if (event.altKey) choose(chosen.filter((i) => !set.has(i)));
        else if (event.ctrlKey || event.metaKey) choose([...new Set([...chosen, ...within])].sort((a, b) => a - b));
        else choose(within);
        setLasso(false);
      },
    },
    key: {
      Escape: () => (lassoing ? setLasso(false) : pinned ? point(-1) : choose([])),
      a: () => choose(shownPoints()),
      l: () => setLasso(!lassoing),
      p: () => picturesButton.hidden || picturesButton.click(),
      t: () => turnButton.hidden || setTurning(!turning),
      d: () => spaceButton.hidden || spaceButton.click(),
      0: reset,
      "/": () => search.focus(),
    },
  });

  night.addEventListener("change", tint);
  new ResizeObserver(change).observe(stage);
  addEventListener("resize", () => {
    view.fitted = fitted();
    change();
  });
  choosePainter();
  reset();
  updateSpace();
  if (calm.matches) turnButton.title += "; your system asks for less motion";
  colourBy(data.columns.length ? data.columns.find(({ name }) => name === data.colour) || data.columns[0] : null);
}

function addNotes(parent, data) {
  const notes = add(parent, "details");
  add(notes, "summary", "", "How to use");
  [
    "Drag to move (in space: to turn; right button, Ctrl or two fingers to move), scroll or pinch to zoom.",
    "Point at a record to see it, click to keep it.",
    "Shift and drag around points to choose them; with Ctrl too, to add; with Alt too, to take away.",
    "Keys: arrows, plus, minus, 0 all, L lasso, A choose all shown, P pictures, D two or three numbers, T turn, / search, Escape.",
  ].forEach((text) => add(notes, "p", "", text));
  if (data.count < data.total) add(parent, "p", "note", `Shown: ${counted(data.count)} of ${counted(data.total)} records, chosen at random.`);
  if (data.leftOut.length) add(parent, "p", "note", `Left out to keep the file small: ${shortened(data.leftOut.join(", "), 200)}.`);
  add(parent, "p", "note", "Made with refold. This page is one file and asks the network for nothing.");
}
