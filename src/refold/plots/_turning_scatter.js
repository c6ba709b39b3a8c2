// A cloud of points that turns by itself. WebGL paints it where there is WebGL, a small depth-buffered
// painter on a plain canvas where there is not. Both are given the same points and the same eye.
(() => {
  "use strict";

  const night = matchMedia("(prefers-color-scheme: dark)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const PERSPECTIVE = 0.3;
  const TURNS_PER_MILLISECOND = 0.00016;
  const REST_AFTER_TOUCH = 1800;
  const ZOOM = { least: 0.7, most: 40 };
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  // ---------------------------------------------------------------- reading

  function bytes(base64) {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  }

  function readPoints(data) {
    const places = Float32Array.from(new Int16Array(bytes(data.places).buffer), (step) => step / 32767);
    const kinds = bytes(data.kinds);
    return { count: kinds.length, places, kinds, tints: new Uint8Array(4 * kinds.length), version: 0 };
  }

  // Colours chosen for white paper are lightened a little on a dark page.
  function channels(hex) {
    const lift = night.matches ? 0.22 : 0;
    return [1, 3, 5].map((at) => {
      const value = parseInt(hex.slice(at, at + 2), 16);
      return Math.round(value + (255 - value) * lift);
    });
  }

  function tint(points, palette, hidden) {
    const colours = palette.map(channels);
    points.kinds.forEach((kind, i) => {
      points.tints.set(colours[kind], 4 * i);
      points.tints[4 * i + 3] = hidden.has(kind) ? 0 : 255;
    });
    points.version += 1;
  }

  // ---------------------------------------------------------------- seeing

  // The eye: three unit vectors (to the right, up, toward the reader) and where they land on the stage.
  function openEye(view, stage, data) {
    const [ct, st, cp, sp] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt)];
    const half = Math.min(stage.width, stage.height) / 2;
    const share = data.flat ? 0.86 : 0.72;
    return {
      right: [ct, 0, st],
      up: [sp * st, cp, -sp * ct],
      toward: [-cp * st, sp, cp * ct],
      perspective: data.flat ? 0 : PERSPECTIVE,
      stretch: [data.line ? stage.width / 2 : half, half].map((wide) => (wide * view.zoom * share) / data.reach),
      x: stage.width / 2 + view.panX,
      y: stage.height / 2 + view.panY,
      fog: data.flat ? 0 : 0.55 / data.reach,
      dot: clamp(160 / data.count ** 0.42, 2, 11) * (half / 300) ** 0.5 * Math.min(3, view.zoom ** 0.6),
      paper: channels(night.matches ? "#101318" : "#ffffff"),
      ...stage,
    };
  }

  const dot = (a, x, y, z) => a[0] * x + a[1] * y + a[2] * z;

  function project(eye, x, y, z) {
    const near = dot(eye.toward, x, y, z);
    const w = 1 - eye.perspective * near;
    return {
      x: eye.x + (dot(eye.right, x, y, z) * eye.stretch[0]) / w,
      y: eye.y - (dot(eye.up, x, y, z) * eye.stretch[1]) / w,
      near,
      w,
    };
  }

  function nearest(points, eye, x, y, within) {
    let best = -1;
    let least = within * within;
    const p = points.places;
    for (let i = 0; i < points.count; i++) {
      if (!points.tints[4 * i + 3]) continue;
      const seen = project(eye, p[3 * i], p[3 * i + 1], p[3 * i + 2]);
      const far = (seen.x - x) ** 2 + (seen.y - y) ** 2 - 12 * seen.near * eye.fog;
      if (far < least) [best, least] = [i, far];
    }
    return best;
  }

  // ---------------------------------------------------------------- painting with WebGL

  const VERTEX = `
    attribute vec3 place; attribute vec4 tint;
    uniform vec3 right, up, toward; uniform vec2 stretch, shift; uniform float perspective, dot_size, fog;
    varying vec3 colour; varying float strength, size;
    void main() {
      float near = dot(toward, place);
      float w = 1.0 - perspective * near;
      gl_Position = vec4(dot(right, place) * stretch.x + shift.x * w, dot(up, place) * stretch.y + shift.y * w, -0.25 * near, w);
      if (tint.a < 0.5) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
      size = dot_size / w;
      gl_PointSize = size + 1.0;
      colour = tint.rgb;
      strength = fog == 0.0 ? 1.0 : clamp(0.74 + fog * near, 0.4, 1.0);
    }`;
  const FRAGMENT = `
    precision mediump float;
    uniform vec3 paper;
    varying vec3 colour; varying float strength, size;
    void main() {
      float rim = (size + 1.0) * length(gl_PointCoord - 0.5);
      float cover = clamp(size * 0.5 - rim + 0.5, 0.0, 1.0);
      if (cover < 0.15) discard;
      gl_FragColor = vec4(mix(paper, colour, strength) * cover, cover);
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

  function feed(gl, program, name, values, width, kind, unit) {
    const buffer = gl.createBuffer();
    const slot = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, width, kind, unit, 0, 0);
    return buffer;
  }

  function paintWithWebGL(canvas, points) {
    // WebGL imitated on the processor is slower than painting by hand.
    const gl = canvas.getContext("webgl", { antialias: false, failIfMajorPerformanceCaveat: true });
    const program = gl && compile(gl);
    if (!program) return null;
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    feed(gl, program, "place", points.places, 3, gl.FLOAT, false);
    const tints = feed(gl, program, "tint", points.tints, 4, gl.UNSIGNED_BYTE, true);
    const at = (name) => gl.getUniformLocation(program, name);
    const vectors = ["right", "up", "toward"].map((name) => [name, at(name)]);
    const [stretch, shift, perspective, size, fog, paper] =
      ["stretch", "shift", "perspective", "dot_size", "fog", "paper"].map(at);
    let version = 0;
    return (eye) => {
      if (version !== points.version) {
        gl.bindBuffer(gl.ARRAY_BUFFER, tints);
        gl.bufferSubData(gl.ARRAY_BUFFER, 0, points.tints);
        version = points.version;
      }
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      vectors.forEach(([name, slot]) => gl.uniform3fv(slot, eye[name]));
      gl.uniform2f(stretch, (2 * eye.stretch[0]) / eye.width, (2 * eye.stretch[1]) / eye.height);
      gl.uniform2f(shift, (2 * eye.x) / eye.width - 1, 1 - (2 * eye.y) / eye.height);
      gl.uniform1f(perspective, eye.perspective);
      gl.uniform1f(size, eye.dot * eye.density);
      gl.uniform1f(fog, eye.fog);
      gl.uniform3fv(paper, eye.paper.map((value) => value / 255));
      gl.drawArrays(gl.POINTS, 0, points.count);
    };
  }

  // ---------------------------------------------------------------- painting without WebGL

  function paintByHand(canvas, points) {
    const pen = canvas.getContext("2d");
    let image = null;
    let pixels, depths;
    return (eye) => {
      const { width, height } = canvas;
      if (!image || image.width !== width || image.height !== height) {
        image = pen.createImageData(width, height);
        pixels = new Uint32Array(image.data.buffer);
        depths = new Float32Array(width * height);
      }
      pixels.fill(0);
      depths.fill(-Infinity);
      for (let i = 0; i < points.count; i++) {
        if (points.tints[4 * i + 3]) stamp(i, eye, width, height);
      }
      pen.putImageData(image, 0, 0);
    };

    function stamp(i, eye, width, height) {
      const p = points.places;
      const seen = project(eye, p[3 * i], p[3 * i + 1], p[3 * i + 2]);
      const [x, y] = [seen.x * eye.density, seen.y * eye.density];
      const radius = (eye.dot * eye.density) / (2 * seen.w);
      const colour = mixed(i, eye, seen.near);
      const [left, right] = [Math.max(0, Math.ceil(x - radius)), Math.min(width - 1, Math.floor(x + radius))];
      const [top, bottom] = [Math.max(0, Math.ceil(y - radius)), Math.min(height - 1, Math.floor(y + radius))];
      for (let row = top; row <= bottom; row++) {
        for (let column = left; column <= right; column++) {
          const at = row * width + column;
          if (seen.near <= depths[at] || (row - y) ** 2 + (column - x) ** 2 > radius * radius) continue;
          depths[at] = seen.near;
          pixels[at] = colour;
        }
      }
    }

    function mixed(i, eye, near) {
      const strength = eye.fog ? clamp(0.74 + eye.fog * near, 0.4, 1) : 1;
      const channel = (c) => eye.paper[c] + (points.tints[4 * i + c] - eye.paper[c]) * strength;
      return (255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0);
    }
  }

  // ---------------------------------------------------------------- the frame around the cloud

  function drawAxes(canvas, eye, data) {
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    pen.setTransform(eye.density, 0, 0, eye.density, 0, 0);
    pen.clearRect(0, 0, eye.width, eye.height);
    pen.strokeStyle = style.getPropertyValue("--line-strong");
    pen.fillStyle = style.getPropertyValue("--muted");
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const span = data.reach * (data.flat ? 1 : 0.72);
    data.axes.forEach(({ name, from, to }) => {
      const [start, end] = [from, to].map((corner) => project(eye, ...corner.map((share) => share * span)));
      pen.beginPath();
      pen.moveTo(start.x, start.y);
      pen.lineTo(end.x, end.y);
      pen.stroke();
      const away = 30 / (Math.hypot(end.x - start.x, end.y - start.y) || 1);
      const x = clamp(end.x + (end.x - start.x) * away, 36, eye.width - 36);
      const y = data.flat && end.y === start.y ? end.y + 14 : end.y + (end.y - start.y) * away * 0.5;
      pen.fillText(name, x, clamp(y, 12, eye.height - 12));
    });
  }

  function add(parent, tag, className, text) {
    const element = document.createElement(tag);
    element.className = className;
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function button(parent, className, text, act) {
    const made = add(parent, "button", className, text);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  function addLegend(box, data, hidden, changed) {
    const legend = add(box, "div", "legend");
    if (data.scale) {
      const bar = add(legend, "div", "bar");
      add(bar, "span", "", data.scale.low);
      const steps = data.palette.slice(0, data.scale.steps).map((hex) => `color-mix(in srgb, ${hex}, white var(--lift))`);
      add(bar, "i", "").style.background = `linear-gradient(90deg, ${steps})`;
      add(bar, "span", "", data.scale.high);
    }
    const switches = data.classes.map(({ name, count, kind }) => {
      const one = button(legend, "switch", "", () => {
        if (!hidden.delete(kind)) hidden.add(kind);
        show();
      });
      add(one, "i", "").style.setProperty("--kind", data.palette[kind]);
      add(one, "span", "", name);
      add(one, "small", "", count);
      one.title = "Click to switch this class on or off, double-click to see it alone";
      one.addEventListener("dblclick", () => {
        const others = data.classes.filter((other) => other.kind !== kind);
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
    show();
  }

  function addTip(stage, sprite, data) {
    const tip = add(stage, "div", "tip");
    const ring = add(stage, "div", "ring");
    const picture = data.tile && add(tip, "canvas", "");
    const name = add(tip, "span", "");
    return (i, seen, eye) => {
      tip.hidden = ring.hidden = i < 0;
      if (i < 0) return;
      ring.style.transform = `translate(${seen.x}px, ${seen.y}px)`;
      name.textContent = data.labels[data.labelOf ? data.labelOf[i] : i];
      if (picture) copyTile(picture, sprite, data.tile, i);
      const x = clamp(seen.x + 16, 8, eye.width - tip.offsetWidth - 8);
      const above = seen.y - tip.offsetHeight - 16;
      tip.style.transform = `translate(${x}px, ${above > 8 ? above : seen.y + 16}px)`;
    };
  }

  function copyTile(canvas, sprite, tile, i) {
    const larger = Math.max(1, Math.round(112 / Math.max(tile.width, tile.height)));
    const [width, height] = [tile.width * larger, tile.height * larger];
    [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    const [x, y] = [(i % tile.across) * tile.width, Math.floor(i / tile.across) * tile.height];
    if (sprite.complete) pen.drawImage(sprite, x, y, tile.width, tile.height, 0, 0, width, height);
  }

  // ---------------------------------------------------------------- hands

  function listen(stage, view, data, touched, hover) {
    const fingers = new Map();
    let moved = 0;
    let lastScroll = 0;
    addEventListener("scroll", () => (lastScroll = performance.now()), { passive: true });

    const place = (event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    };
    const move = (dx, dy) => {
      if (data.flat) [view.panX, view.panY] = [view.panX + dx, view.panY + dy];
      else [view.turn, view.tilt] = [view.turn + dx * 0.008, clamp(view.tilt + dy * 0.008, -1.5, 1.5)];
      touched();
    };
    const zoom = (factor, x, y) => {
      const before = view.zoom;
      view.zoom = clamp(before * factor, ZOOM.least, ZOOM.most);
      if (data.flat) {
        const [grown, box] = [view.zoom / before, stage.getBoundingClientRect()];
        const [fromX, fromY] = [x - box.width / 2, y - box.height / 2];
        view.panX = fromX - (fromX - view.panX) * grown;
        view.panY = fromY - (fromY - view.panY) * grown;
      }
      touched();
      return view.zoom !== before;
    };

    stage.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      fingers.set(event.pointerId, place(event));
      stage.setPointerCapture(event.pointerId);
      moved = 0;
    });
    stage.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      const before = fingers.get(event.pointerId);
      if (!before) return hover(x, y, 14);
      const apart = fingers.size === 2 ? spread() : 0;
      fingers.set(event.pointerId, [x, y]);
      moved += Math.hypot(x - before[0], y - before[1]);
      if (fingers.size === 2) zoom(spread() / apart, x, y);
      else move(x - before[0], y - before[1]);
      return undefined;
    });
    ["pointerup", "pointercancel"].forEach((name) =>
      stage.addEventListener(name, (event) => {
        if (fingers.delete(event.pointerId) && moved < 6) hover(...place(event), 24);
      }),
    );
    stage.addEventListener("pointerleave", () => hover(-99, -99, 0));
    stage.addEventListener(
      "wheel",
      (event) => {
        // A page that is being scrolled stays a page that is being scrolled.
        if (performance.now() - lastScroll < 350 && !event.ctrlKey) return;
        if (zoom(Math.exp(-clamp(event.deltaY, -60, 60) * 0.004), ...place(event))) event.preventDefault();
      },
      { passive: false },
    );
    stage.addEventListener("keydown", (event) => {
      const middle = [stage.clientWidth / 2, stage.clientHeight / 2];
      const keys = {
        ArrowLeft: () => move(-16, 0), ArrowRight: () => move(16, 0),
        ArrowUp: () => move(0, -16), ArrowDown: () => move(0, 16),
        "+": () => zoom(1.2, ...middle), "-": () => zoom(1 / 1.2, ...middle),
      };
      if (!keys[event.key] || event.target !== stage) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  // ---------------------------------------------------------------- one cloud

  function raise(box) {
    const data = JSON.parse(box.querySelector("script").textContent);
    const points = readPoints(data);
    data.count = points.count;
    if (data.labelOf) data.labelOf = new Uint32Array(bytes(data.labelOf).buffer);
    const stage = add(box, "div", "stage");
    stage.tabIndex = 0;
    stage.setAttribute("role", "img");
    stage.setAttribute("aria-label", data.description);
    const frame = add(stage, "canvas", "");
    let cloud = add(stage, "canvas", "");
    let paint = paintWithWebGL(cloud, points) || paintPlainly();
    const showTip = addTip(stage, box.querySelector("img"), data);

    const start = { turn: data.flat ? 0 : -0.6, tilt: data.flat ? 0 : 0.32, zoom: 1, panX: 0, panY: 0 };
    const view = { ...start };
    const hidden = new Set();
    let [turning, dirty, onScreen, restUntil, last, pointed] = [!data.flat && !calm.matches, true, true, 0, 0, -1];

    function paintPlainly() {
      const fresh = cloud.cloneNode();
      cloud.replaceWith(fresh);
      cloud = fresh;
      return paintByHand(cloud, points);
    }
    cloud.addEventListener("webglcontextlost", () => {
      paint = paintPlainly();
      dirty = true;
    });

    function eye() {
      const density = Math.min(devicePixelRatio || 1, 2);
      return openEye(view, { width: stage.clientWidth, height: stage.clientHeight, density }, data);
    }
    function fit(seen) {
      [frame, cloud].forEach((canvas) => {
        const [width, height] = [Math.round(seen.width * seen.density), Math.round(seen.height * seen.density)];
        if (canvas.width !== width) canvas.width = width;
        if (canvas.height !== height) canvas.height = height;
      });
    }
    function recolour() {
      tint(points, data.palette, hidden);
      if (pointed >= 0 && hidden.has(points.kinds[pointed])) pointed = -1;
      dirty = true;
    }
    function touched() {
      restUntil = performance.now() + REST_AFTER_TOUCH;
      dirty = true;
    }
    function hover(x, y, within) {
      const found = nearest(points, eye(), x, y, within);
      if (found >= 0) restUntil = performance.now() + REST_AFTER_TOUCH;
      dirty ||= found !== pointed;
      pointed = found;
    }
    function step(now) {
      requestAnimationFrame(step);
      const passed = Math.min(now - last, 60);
      last = now;
      if (!onScreen) return;
      if (turning && now > restUntil && pointed < 0) {
        view.turn += passed * TURNS_PER_MILLISECOND;
        dirty = true;
      }
      if (dirty) draw();
    }
    function draw() {
      dirty = false;
      const seen = eye();
      if (!seen.width || !seen.height) return;
      fit(seen);
      drawAxes(frame, seen, data);
      paint(seen);
      const at = pointed < 0 ? null : project(seen, ...points.places.slice(3 * pointed, 3 * pointed + 3));
      showTip(pointed, at, seen);
    }

    const tools = add(stage, "div", "tools");
    if (!data.flat) {
      const pause = button(tools, "", turning ? "Pause" : "Turn", () => {
        turning = !turning;
        restUntil = 0;
        pause.textContent = turning ? "Pause" : "Turn";
      });
    }
    button(tools, "", "Reset", () => {
      Object.assign(view, start);
      dirty = true;
    });
    addLegend(box, data, hidden, recolour);
    listen(stage, view, data, touched, hover);
    night.addEventListener("change", recolour);
    new ResizeObserver(() => (dirty = true)).observe(stage);
    new IntersectionObserver(([entry]) => (onScreen = entry.isIntersecting)).observe(stage);
    draw();
    requestAnimationFrame(step);
  }

  document.querySelectorAll(".cloud").forEach(raise);
})();
