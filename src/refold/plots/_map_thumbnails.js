// Small pictures of the records. They stand on sheets; a sheet is opened when one of its pictures is wanted.

const OPEN_SHEETS = 12;
const PICTURE_SIDE = 40;
const SLOTS_ACROSS = 24;

function thumbnailsOf(tile) {
  if (!tile) return null;
  const open = new Map();
  const ratio = PICTURE_SIDE / Math.max(tile.width, tile.height);
  async function decode(number) {
    const image = new Image();
    image.src = kept(`sheet-${number}`);
    await image.decode();
    return image;
  }
  return {
    size: [tile.width, tile.height],
    shown: [tile.width * ratio, tile.height * ratio],
    sheetOf: (i) => Math.floor(i / tile.sheet),
    open(number) {
      const known = open.get(number) || decode(number);
      open.delete(number);
      open.set(number, known);
      if (open.size > OPEN_SHEETS) open.delete(open.keys().next().value);
      return known;
    },
    copy(pen, image, i, x, y, larger) {
      const within = i % tile.sheet;
      const [fromX, fromY] = [(within % tile.across) * tile.width, Math.floor(within / tile.across) * tile.height];
      pen.imageSmoothingEnabled = false;
      pen.drawImage(image, fromX, fromY, tile.width, tile.height, x, y, tile.width * larger, tile.height * larger);
    },
    async draw(canvas, i, side) {
      const larger = Math.max(1, Math.floor(side / Math.max(tile.width, tile.height)));
      [canvas.width, canvas.height] = [tile.width * larger, tile.height * larger];
      canvas.dataset.record = i;
      const image = await this.open(this.sheetOf(i));
      if (canvas.dataset.record === String(i)) this.copy(canvas.getContext("2d"), image, i, 0, 0, larger);
    },
  };
}

// Pictures that have been wanted, side by side on a canvas: a map shows pictures of many sheets, and few of each.
// Asked for some, it tells where each stands that is there, and fetches the others, one sheet after another.
function shelfOf(thumbnails, changed) {
  const shelf = document.createElement("canvas");
  const [width, height] = thumbnails.size;
  const pitch = [width + 2, height + 2]; // a gap, lest a neighbour shine through where pictures are scaled
  [shelf.width, shelf.height] = pitch.map((side) => side * SLOTS_ACROSS);
  const pen = shelf.getContext("2d");
  const slots = new Map();
  let [waiting, busy] = [new Map(), false];
  const place = (slot) => [(slot % SLOTS_ACROSS) * pitch[0], Math.floor(slot / SLOTS_ACROSS) * pitch[1]];

  function put(i, image) {
    let slot = slots.size;
    if (slot === SLOTS_ACROSS ** 2) {
      const [oldest] = slots.keys();
      slot = slots.get(oldest);
      slots.delete(oldest);
    }
    slots.set(i, slot);
    pen.clearRect(...place(slot), width, height);
    thumbnails.copy(pen, image, i, ...place(slot), 1);
  }
  async function fetchAll() {
    busy = true;
    while (waiting.size) {
      const [[number, wanted]] = waiting;
      waiting.delete(number);
      const image = await thumbnails.open(number);
      wanted.filter((i) => !slots.has(i)).forEach((i) => put(i, image));
      changed();
    }
    busy = false;
  }
  return {
    shelf,
    find(wanted) {
      waiting = new Map();
      const there = wanted.map((i) => {
        const slot = slots.get(i);
        if (slot === undefined) {
          const number = thumbnails.sheetOf(i);
          waiting.set(number, [...(waiting.get(number) || []), i]);
          return null;
        }
        slots.delete(i);
        slots.set(i, slot);
        return place(slot);
      });
      if (!busy && waiting.size) fetchAll();
      return there;
    },
  };
}

// Points whose pictures can stand on the stage without touching, always tried in the same order.
function apart(seen, points, eye, [wide, tall]) {
  const [stepX, stepY] = [wide + 8, tall + 8];
  const across = Math.ceil(eye.width / stepX) + 3;
  const taken = new Map();
  const most = (SLOTS_ACROSS ** 2 * 3) / 4;
  for (const i of points.order) {
    const [x, y] = [seen.x[i], seen.y[i]];
    if (x < 0 || y < 0 || x >= eye.width || y >= eye.height || points.hidden.has(points.kinds[i])) continue;
    if (points.anyChosen && !points.chosen[i]) continue;
    const cell = (Math.floor(y / stepY) + 1) * across + Math.floor(x / stepX) + 1;
    const touches = [-1, 0, 1].some((up) =>
      [-1, 0, 1].some((right) => {
        const other = taken.get(cell + up * across + right);
        return other !== undefined && Math.abs(seen.x[other] - x) < stepX && Math.abs(seen.y[other] - y) < stepY;
      }),
    );
    if (!touches) taken.set(cell, i);
    if (taken.size >= most) break;
  }
  return [...taken.values()];
}

// Draws the pictures and tells which record's picture stands at a place of the stage, -1 for none.
function drawPictures(canvas, eye, seen, points, thumbnails, shelf) {
  const pen = canvas.getContext("2d");
  pen.setTransform(eye.density, 0, 0, eye.density, 0, 0);
  pen.clearRect(0, 0, eye.width, eye.height);
  if (!shelf) return () => -1;
  const [wide, tall] = thumbnails.shown;
  const some = apart(seen, points, eye, thumbnails.shown);
  pen.lineWidth = 2;
  shelf.find(some).forEach((place, n) => {
    if (!place) return;
    const i = some[n];
    const [x, y] = [seen.x[i] - wide / 2, seen.y[i] - tall / 2];
    pen.drawImage(shelf.shelf, ...place, ...thumbnails.size, x, y, wide, tall);
    pen.strokeStyle = `rgb(${points.tints[points.kinds[i]].slice(0, 3).map(Math.round)})`;
    pen.strokeRect(x, y, wide, tall);
  });
  const covers = (i, x, y) => Math.abs(seen.x[i] - x) <= wide / 2 && Math.abs(seen.y[i] - y) <= tall / 2;
  return (x, y) => some.find((i) => covers(i, x, y)) ?? -1;
}
