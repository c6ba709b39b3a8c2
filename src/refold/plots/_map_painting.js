// Where points are seen, and how they are painted: by WebGL where there is WebGL, else dot by dot on a canvas.

const PERSPECTIVE = 0.3;
const CELL = 24;
const night = matchMedia("(prefers-color-scheme: dark)");

// Colours chosen for white paper are lightened a little on a dark page.
function channels(hex) {
  const lift = night.matches ? 0.22 : 0;
  return [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16);
    return value + (255 - value) * lift;
  });
}

const paper = () => (night.matches ? [16, 19, 24] : [255, 255, 255]);

// ---------------------------------------------------------------- seeing

// The eye: three unit vectors (to the right, up, toward the reader) and where they land on the stage.
function openEye(view, stage, cloud, count) {
  const [ct, st, cp, sp] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt)];
  const { width, height } = view.fitted;
  const [wide, tall] = cloud.extents;
  const half = cloud.flat ? 0.9 * Math.min(width / 2 / wide, height / 2 / tall) : 0.44 * Math.min(width, height);
  const dot = clamp(150 / count ** 0.42, 1.5, 11) * (Math.min(width, height) / 600) ** 0.5;
  return {
    right: cloud.flat ? [1, 0, 0] : [ct, 0, st],
    up: cloud.flat ? [0, 1, 0] : [sp * st, cp, -sp * ct],
    toward: cloud.flat ? [0, 0, 1] : [-cp * st, sp, cp * ct],
    perspective: cloud.flat ? 0 : PERSPECTIVE,
    stretch: half * view.zoom,
    x: width / 2 + view.panX,
    y: height / 2 + view.panY,
    fog: cloud.flat ? 0 : 0.5,
    dot: dot * view.size * Math.min(4, Math.max(view.zoom, 0.4) ** 0.45),
    strength: Math.min(1, view.strength * (cloud.flat ? clamp((16 / count ** 0.3) * Math.max(1, view.zoom) ** 0.35, 0.4, 0.95) : 1)),
    flat: cloud.flat,
    ...stage,
  };
}

const along = (a, x, y, z) => a[0] * x + a[1] * y + a[2] * z;

function project(eye, x, y, z) {
  const near = along(eye.toward, x, y, z);
  const w = 1 - eye.perspective * clamp(near, -3, 2.5); // far points stay before the eye
  return {
    x: eye.x + (along(eye.right, x, y, z) * eye.stretch) / w,
    y: eye.y - (along(eye.up, x, y, z) * eye.stretch) / w,
    near,
    w,
  };
}

// Every point on the stage, sorted into cells, so that what is near the pointer is found without asking all.
function sight(eye, points) {
  const { count, cloud } = points;
  const { places } = cloud;
  const [x, y, near] = [new Float32Array(count), new Float32Array(count), new Float32Array(count)];
  const [across, down] = [Math.ceil(eye.width / CELL) + 1, Math.ceil(eye.height / CELL) + 1];
  const cellOf = new Int32Array(count);
  const starts = new Uint32Array(across * down + 1);
  for (let i = 0; i < count; i++) {
    const seen = project(eye, places[3 * i], places[3 * i + 1], places[3 * i + 2]);
    [x[i], y[i], near[i]] = [seen.x, seen.y, seen.near];
    const on = seen.x >= 0 && seen.y >= 0 && seen.x < eye.width && seen.y < eye.height;
    cellOf[i] = on ? Math.floor(seen.y / CELL) * across + Math.floor(seen.x / CELL) : -1;
    if (on) starts[cellOf[i] + 1] += 1;
  }
  for (let cell = 0; cell < across * down; cell++) starts[cell + 1] += starts[cell];
  const [next, members] = [starts.slice(), new Uint32Array(starts[across * down])];
  for (let i = 0; i < count; i++) if (cellOf[i] >= 0) members[next[cellOf[i]]++] = i;
  return { x, y, near, across, down, starts, members, cellOf };
}

function nearest(seen, points, x, y, within) {
  let [best, least] = [-1, within * within];
  const cell = (value) => Math.floor(value / CELL);
  for (let row = Math.max(0, cell(y - within)); row <= Math.min(seen.down - 1, cell(y + within)); row++) {
    const [left, right] = [Math.max(0, cell(x - within)), Math.min(seen.across - 1, cell(x + within))];
    if (left > right) continue;
    for (let at = seen.starts[row * seen.across + left]; at < seen.starts[row * seen.across + right + 1]; at++) {
      const i = seen.members[at];
      if (points.hidden.has(points.kinds[i])) continue;
      const far = (seen.x[i] - x) ** 2 + (seen.y[i] - y) ** 2 - (points.cloud.flat ? 0 : 12 * seen.near[i]);
      if (far < least) [best, least] = [i, far];
    }
  }
  return best;
}

// Which points lie inside of a closed way on the stage (even-odd rule).
function inside(seen, points, way) {
  const [xs, ys] = [way.map(([x]) => x), way.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const found = [];
  for (let i = 0; i < points.count; i++) {
    const [x, y] = [seen.x[i], seen.y[i]];
    if (x < left || x > right || y < top || y > bottom || points.hidden.has(points.kinds[i])) continue;
    let within = false;
    for (let a = 0, b = way.length - 1; a < way.length; b = a++) {
      if (ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) within = !within;
    }
    if (within) found.push(i);
  }
  return found;
}

// ---------------------------------------------------------------- painting with WebGL

const VERTEX = `#version 300 es
  in vec3 place; in uint kind; in uint chosen;
  uniform vec3 right, up, toward; uniform vec2 stretch, shift; uniform float perspective, dot_size, fog, strength;
  uniform vec4 palette[72]; uniform int turn;
  out vec3 colour; out float full, size, depth;
  void main() {
    float near = dot(toward, place);
    float w = 1.0 - perspective * clamp(near, -3.0, 2.5);
    vec2 at = vec2(dot(right, place), dot(up, place)) * stretch / w + shift;
    gl_Position = vec4(at, clamp(-0.2 * near, -0.99, 0.99), 1.0);
    vec4 tint = palette[kind];
    if (tint.a < 0.5 || (turn == 1 && chosen == 1u) || (turn == 2 && chosen == 0u)) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    size = dot_size / w * (turn == 2 ? 1.25 : 1.0);
    gl_PointSize = size + 1.0;
    colour = tint.rgb;
    depth = fog == 0.0 || turn == 2 ? 1.0 : clamp(0.76 + fog * near, 0.4, 1.0);
    full = turn == 1 ? 0.16 * strength : turn == 2 ? 1.0 : strength;
  }`;
const FRAGMENT = `#version 300 es
  precision mediump float;
  uniform vec3 paper;
  in vec3 colour; in float full, size, depth;
  out vec4 painted;
  void main() {
    float rim = (size + 1.0) * length(gl_PointCoord - 0.5);
    float cover = clamp(size * 0.5 - rim + 0.5, 0.0, 1.0);
    if (cover < 0.12) discard;
    painted = vec4(mix(paper, colour, depth), 1.0) * cover * full;
  }`;

function compile(gl) {
  const program = gl.createProgram();
  [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]].forEach(([kind, source]) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

// Attributes are sent again when their own version has changed, and not at every picture.
function feeder(gl, program, points) {
  const buffers = new Map();
  const send = (name, version, values, attach) => {
    const known = buffers.get(name) || { buffer: gl.createBuffer(), version: -1 };
    buffers.set(name, known);
    if (known.version === version) return;
    known.version = version;
    gl.bindBuffer(gl.ARRAY_BUFFER, known.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    const slot = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(slot);
    attach(slot);
  };
  return () => {
    send("place", points.versions.places, points.cloud.places, (slot) =>
      gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 0, 0),
    );
    const ofBytes = (slot) => gl.vertexAttribIPointer(slot, 1, gl.UNSIGNED_BYTE, 0, 0);
    send("kind", points.versions.kinds, points.kinds, ofBytes);
    send("chosen", points.versions.chosen, points.chosen, ofBytes);
  };
}

// WebGL imitated on the processor is slower than painting by hand.
function isImitated(gl) {
  const named = gl.getExtension("WEBGL_debug_renderer_info");
  const renderer = gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  return /swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

function paintWithWebGL(canvas, points) {
  const gl = canvas.getContext("webgl2", { antialias: false, failIfMajorPerformanceCaveat: true });
  const program = gl && !isImitated(gl) && compile(gl);
  if (!program) return null;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.depthFunc(gl.LEQUAL);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, points.order, gl.STATIC_DRAW);
  const at = (name) => gl.getUniformLocation(program, name);
  const slots = Object.fromEntries(
    ["right", "up", "toward", "stretch", "shift", "perspective", "dot_size", "fog", "strength", "palette", "turn", "paper"]
      .map((name) => [name, at(name)]),
  );
  const feed = feeder(gl, program, points);
  const draw = (turn) => {
    gl.uniform1i(slots.turn, turn);
    gl.drawElements(gl.POINTS, points.count, gl.UNSIGNED_INT, 0);
  };
  return (eye) => {
    feed();
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    ["right", "up", "toward"].forEach((name) => gl.uniform3fv(slots[name], eye[name]));
    gl.uniform2f(slots.stretch, (2 * eye.stretch) / eye.width, (2 * eye.stretch) / eye.height);
    gl.uniform2f(slots.shift, (2 * eye.x) / eye.width - 1, 1 - (2 * eye.y) / eye.height);
    gl.uniform1f(slots.perspective, eye.perspective);
    gl.uniform1f(slots.dot_size, eye.dot * eye.density);
    gl.uniform1f(slots.fog, eye.fog);
    gl.uniform1f(slots.strength, eye.strength);
    gl.uniform3fv(slots.paper, paper().map((value) => value / 255));
    gl.uniform4fv(slots.palette, points.tints.flatMap(([r, g, b, a]) => [r / 255, g / 255, b / 255, a]));
    gl[eye.flat ? "disable" : "enable"](gl.DEPTH_TEST);
    gl.depthMask(eye.strength > 0.99);
    if (!points.anyChosen) return draw(0);
    gl.depthMask(false);
    draw(1);
    gl.depthMask(true);
    return draw(2);
  };
}

// ---------------------------------------------------------------- painting without WebGL

function paintByHand(canvas, points) {
  const pen = canvas.getContext("2d");
  let [image, pixels, depths] = [null, null, null];
  return (eye, seen) => {
    const { width, height } = canvas;
    if (!image || image.width !== width || image.height !== height) {
      image = pen.createImageData(width, height);
      pixels = new Uint32Array(image.data.buffer);
      depths = new Float32Array(width * height);
    }
    pixels.fill(0);
    depths.fill(-Infinity);
    const faint = points.tints.map((tint) => mixed(tint, 0.2));
    const full = points.tints.map((tint) => shades(tint, eye));
    const draw = (chosen) => {
      for (const i of points.order) {
        const tint = points.tints[points.kinds[i]];
        if (!tint[3] || (points.anyChosen && points.chosen[i] !== chosen)) continue;
        const shade = eye.flat || chosen ? 7 : Math.round(7 * clamp((0.36 + eye.fog * seen.near[i]) / 0.6, 0, 1));
        const lifted = (eye.flat ? 0 : seen.near[i]) + 1000 * chosen;
        const colour = points.anyChosen && !chosen ? faint[points.kinds[i]] : full[points.kinds[i]][shade];
        stamp(i, eye, seen, width, height, colour, lifted);
      }
    };
    draw(0);
    if (points.anyChosen) draw(1);
    pen.putImageData(image, 0, 0);
  };

  function stamp(i, eye, seen, width, height, colour, lifted) {
    const [x, y] = [seen.x[i] * eye.density, seen.y[i] * eye.density];
    const radius = (eye.dot * eye.density) / 2 / (1 - eye.perspective * clamp(seen.near[i], -3, 2.5));
    const [left, right] = [Math.max(0, Math.ceil(x - radius)), Math.min(width - 1, Math.floor(x + radius))];
    const [top, bottom] = [Math.max(0, Math.ceil(y - radius)), Math.min(height - 1, Math.floor(y + radius))];
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const at = row * width + column;
        if (lifted < depths[at] || (row - y) ** 2 + (column - x) ** 2 > radius * radius) continue;
        depths[at] = lifted;
        pixels[at] = colour;
      }
    }
  }

  // Eight tones of a colour, from far to near.
  function shades(tint, eye) {
    return Array.from({ length: 8 }, (_, step) => mixed(tint, eye.flat ? 1 : 0.4 + (0.6 * step) / 7));
  }

  function mixed(tint, strength) {
    const channel = (c) => paper()[c] + (tint[c] - paper()[c]) * strength;
    return (255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0);
  }
}

// ---------------------------------------------------------------- the frame around the cloud

function drawFrame(canvas, eye, axes, cloud) {
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  pen.setTransform(eye.density, 0, 0, eye.density, 0, 0);
  pen.clearRect(0, 0, eye.width, eye.height);
  pen.strokeStyle = style.getPropertyValue("--line");
  pen.fillStyle = style.getPropertyValue("--muted");
  pen.font = "11px system-ui, sans-serif";
  if (cloud.flat) drawScales(pen, eye, axes, cloud);
  else drawCorner(pen, eye, axes, cloud);
}

// Lines at round numbers, with the numbers at the left and at the bottom.
function drawScales(pen, eye, axes, cloud) {
  axes.forEach((axis, k) => {
    const middle = axis.reach[0] / 2 + axis.reach[1] / 2;
    const [origin, sign, length] = k ? [eye.y, -1, eye.height] : [eye.x, 1, eye.width];
    const toStage = (value) => origin + (sign * (value - middle) * eye.stretch) / cloud.scales[k];
    const toValue = (at) => middle + (sign * (at - origin) * cloud.scales[k]) / eye.stretch;
    const [low, high] = [toValue(0), toValue(length)].sort((a, b) => a - b);
    const step = roundStep((high - low) / Math.max(2, length / 130));
    pen.beginPath();
    for (let n = Math.ceil(low / step); n <= high / step; n++) {
      const at = Math.round(toStage(n * step)) + 0.5;
      pen.moveTo(...(k ? [0, at] : [at, 0]));
      pen.lineTo(...(k ? [eye.width, at] : [at, eye.height]));
      const text = String(Number((n * step).toPrecision(6)));
      pen.textAlign = k ? "left" : "center";
      if (k ? at > 30 && at < eye.height - 26 : at > 30) pen.fillText(text, ...(k ? [6, at - 4] : [at, eye.height - 6]));
    }
    pen.stroke();
    pen.textAlign = k ? "left" : "right";
    pen.fillText(axis.name, ...(k ? [6, 14] : [eye.width - 8, eye.height - 20]));
  });
}

function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least || 1));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least);
}

// Three axes from one corner of the space, with their names.
function drawCorner(pen, eye, axes, cloud) {
  const [a, b, c] = cloud.extents.map((extent) => 0.86 * extent);
  const corner = [-a, -c, b];
  [[a, -c, b], [-a, -c, -b], [-a, c, b]].forEach((tip, k) => {
    const [start, end] = [corner, tip].map((place) => project(eye, ...place));
    pen.beginPath();
    pen.moveTo(start.x, start.y);
    pen.lineTo(end.x, end.y);
    pen.stroke();
    const away = 24 / (Math.hypot(end.x - start.x, end.y - start.y) || 1);
    pen.textAlign = "center";
    pen.fillText(axes[k].name, end.x + (end.x - start.x) * away, end.y + (end.y - start.y) * away);
  });
}
