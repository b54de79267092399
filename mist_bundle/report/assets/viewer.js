// Three planes of a case with its label maps, drawn on plain canvases; the rendering is NiiVue's, where that is in the page.
"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  // as in report/pictures.py: axes of arrays that point to L, P, S; rows run down along the axis or up
  const PLANES = {
    axial: { through: 2, across: 0, down: 1, downward: true, letters: ["R", "L", "A", "P"] },
    coronal: { through: 1, across: 0, down: 2, downward: false, letters: ["R", "L", "S", "I"] },
    sagittal: { through: 0, across: 1, down: 2, downward: false, letters: ["A", "P", "S", "I"] },
  };
  const KINDS = ["reference", "prediction", "differences"];
  const SIDES = ["left", "right", "top", "bottom"];
  const ARRAYS = { 2: Uint8Array, 4: Int16Array, 8: Int32Array };
  const colours = (kind) => (kind === "differences" ? data.differences : data.labels);
  const state = { shown: null, cursor: [0, 0, 0], panels: [] };

  async function readVolume(base64) {
    const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    const header = new DataView(buffer);
    const number = (at) => header.getFloat32(at, true);
    const size = [42, 44, 46].map((at) => header.getInt16(at, true));
    const values = new ARRAYS[header.getInt16(70, true)](buffer, number(108), size[0] * size[1] * size[2]);
    return { size, values, spacing: [80, 84, 88].map(number), slope: number(112) || 1, intercept: number(116) };
  }
  const place = (size, index) => index[0] + size[0] * (index[1] + size[1] * index[2]);

  async function show(number) {
    const one = data.cases[number];
    const volumes = {};
    for (const kind of KINDS) if (one[kind]) volumes[kind] = await readVolume(one[kind]);
    const shown = { ...one, volumes };
    await readChannel(shown);
    state.shown = { ...shown, size: volumes.image.size, spacing: volumes.image.spacing };
    state.cursor = [...one.centre];
    for (const kind of KINDS) byId(kind).disabled = !volumes[kind];
    byId("layout").disabled = !volumes.prediction;
    byId("note").textContent = one.note;
    arrange();
    await showRendering();
    document.body.dataset.shown = one.id; // for tests, and for whoever scripts this page
  }

  async function readChannel(shown) {
    const channel = shown.channels[Math.min(Number(byId("channel").value), shown.channels.length - 1)];
    const volume = await readVolume(channel.image);
    shown.volumes.image = volume;
    Object.assign(shown, { image: channel.image, window: channel.window });
    document.body.dataset.channel = channel.name;
  }

  // ---- panels -------------------------------------------------------------------------------------------------------
  function arrange() {
    const view = byId("view").value;
    const beside = byId("layout").value === "beside" && state.shown.volumes.prediction;
    const planes = view === "all" ? Object.keys(PLANES) : view in PLANES ? [view] : [];
    const sides = beside ? [["reference"], ["prediction", "differences"]] : [KINDS];
    state.panels = sides.flatMap((kinds) => planes.map((plane) => newPanel(plane, kinds, beside ? kinds[0] : "")));
    const stage = byId("stage");
    stage.replaceChildren(...state.panels.map((panel) => panel.box), ...(byId("rendering") ? [byId("rendering")] : []));
    stage.dataset.rows = beside && planes.length > 1 ? "2" : "1";
    stage.dataset.columns = planes.length > 1 ? planes.length : sides.length;
    draw();
  }
  function newPanel(plane, kinds, words) {
    const box = document.createElement("figure");
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("aria-label", `${plane} slice${words ? `, ${words}` : ""}; arrows move the cross, page keys the slice`);
    const caption = document.createElement("figcaption");
    box.append(canvas, caption);
    SIDES.forEach((side, index) => {
      const letter = document.createElement("span");
      letter.className = side;
      letter.textContent = PLANES[plane].letters[index];
      box.append(letter);
    });
    const panel = { plane, kinds, words, box, canvas, caption };
    const point = (event) => { if (event.buttons) { moveTo(panel, event.offsetX, event.offsetY); event.preventDefault(); } };
    canvas.addEventListener("pointerdown", point);
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); step(plane, PLANES[plane].through, Math.sign(event.deltaY)); }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const { through, across, down, downward } = PLANES[plane];
      const forward = downward ? 1 : -1;
      const moves = { ArrowLeft: [across, -1], ArrowRight: [across, 1], ArrowUp: [down, -forward], ArrowDown: [down, forward], PageUp: [through, 1], PageDown: [through, -1] };
      if (event.key in moves) { event.preventDefault(); step(plane, ...moves[event.key]); }
    });
    return panel;
  }
  function step(plane, axis, by) {
    state.cursor[axis] = Math.min(state.shown.size[axis] - 1, Math.max(0, state.cursor[axis] + by));
    draw();
  }
  function moveTo(panel, x, y) {
    const { across, down, downward } = PLANES[panel.plane];
    const frame = panel.frame;
    const inside = (value, length) => Math.min(length - 1, Math.max(0, value));
    const column = inside(Math.floor((x - frame.x) / frame.width * frame.columns), frame.columns);
    const row = inside(Math.floor((y - frame.y) / frame.height * frame.rows), frame.rows);
    state.cursor[across] = frame.start[across] + column;
    state.cursor[down] = frame.start[down] + (downward ? row : frame.rows - 1 - row);
    draw();
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------
  function slice(volume, plane, frame) {
    // (rows x columns) values as they are looked at
    const { through, across, down, downward } = PLANES[plane];
    const values = new volume.values.constructor(frame.rows * frame.columns);
    const index = [0, 0, 0];
    index[through] = state.cursor[through];
    for (let row = 0; row < frame.rows; row++) {
      index[down] = frame.start[down] + (downward ? row : frame.rows - 1 - row);
      for (let column = 0; column < frame.columns; column++) {
        index[across] = frame.start[across] + column;
        values[row * frame.columns + column] = volume.values[place(volume.size, index)];
      }
    }
    return values;
  }
  function picture(frame, fill) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [frame.columns, frame.rows];
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(frame.columns, frame.rows);
    fill(pixels.data);
    context.putImageData(pixels, 0, 0);
    return canvas;
  }
  function outline(values, frame, label, scaleX, scaleY) {
    // along the edges of voxels, in one stroke for each run
    const path = new Path2D();
    const at = (row, column) => row >= 0 && column >= 0 && row < frame.rows && column < frame.columns && values[row * frame.columns + column] === label;
    const runs = (length, isEdge, line) => {
      for (let start = 0; start < length; start++) {
        if (!isEdge(start)) continue;
        let stop = start + 1;
        while (stop < length && isEdge(stop)) stop++;
        line(start, stop);
        start = stop;
      }
    };
    for (let row = 0; row <= frame.rows; row++) runs(frame.columns, (c) => at(row, c) !== at(row - 1, c), (a, b) => {
      path.moveTo(frame.x + a * scaleX, frame.y + row * scaleY); path.lineTo(frame.x + b * scaleX, frame.y + row * scaleY);
    });
    for (let column = 0; column <= frame.columns; column++) runs(frame.rows, (r) => at(r, column) !== at(r, column - 1), (a, b) => {
      path.moveTo(frame.x + column * scaleX, frame.y + a * scaleY); path.lineTo(frame.x + column * scaleX, frame.y + b * scaleY);
    });
    return path;
  }
  function frameOf(panel) {
    const { across, down } = PLANES[panel.plane];
    const { size, spacing, box } = state.shown;
    const close = byId("closeup").checked;
    const start = [0, 1, 2].map((axis) => (close ? box[0][axis] : 0));
    const stop = [0, 1, 2].map((axis) => (close ? box[1][axis] : size[axis]));
    const [columns, rows] = [stop[across] - start[across], stop[down] - start[down]];
    const [width, height] = [panel.canvas.clientWidth, panel.canvas.clientHeight];
    const scale = Math.min(width / (columns * spacing[across]), height / (rows * spacing[down]));
    const [wide, high] = [columns * spacing[across] * scale, rows * spacing[down] * scale];
    return { start, columns, rows, width: wide, height: high, x: (width - wide) / 2, y: (height - high) / 2 };
  }
  function drawPanel(panel) {
    const { canvas, plane } = panel;
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
    if (!canvas.width || !canvas.height) return;
    const frame = (panel.frame = frameOf(panel));
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const whole = [frame.x, frame.y, frame.width, frame.height];
    if (byId("image").checked) {
      const image = state.shown.volumes.image;
      const values = slice(image, plane, frame);
      const [low, high] = state.shown.window;
      context.drawImage(picture(frame, (pixels) => values.forEach((value, index) => {
        const grey = ((value * image.slope + image.intercept - low) / Math.max(high - low, 1e-6)) * 255;
        pixels.set([grey, grey, grey, 255], 4 * index);
      })), ...whole);
    }
    context.imageSmoothingEnabled = false;
    for (const kind of panel.kinds) if (state.shown.volumes[kind]) drawLabels(context, kind, plane, frame, whole);
    drawCross(context, plane, frame);
    const { through } = PLANES[plane];
    panel.caption.textContent = `${panel.words ? `${panel.words}, ` : ""}${plane}, ${(state.cursor[through] * state.shown.spacing[through]).toFixed(0)} mm`;
  }
  function drawLabels(context, kind, plane, frame, whole) {
    const mode = byId(kind).value;
    if (mode === "hidden") return;
    const values = slice(state.shown.volumes[kind], plane, frame);
    const present = new Set(values);
    const shown = colours(kind).filter((one) => present.has(one.value));
    if (mode === "filled") {
      const table = new Map(shown.map((one) => [one.value, one.rgb]));
      const alpha = Number(byId("opacity").value) * 2.55;
      context.drawImage(picture(frame, (pixels) => values.forEach((value, index) => {
        if (table.has(value)) pixels.set([...table.get(value), alpha], 4 * index);
      })), ...whole);
      return;
    }
    for (const one of shown) {
      const path = outline(values, frame, one.value, frame.width / frame.columns, frame.height / frame.rows);
      [context.strokeStyle, context.lineWidth] = ["rgba(0, 0, 0, 0.6)", 3.5];
      context.stroke(path);
      [context.strokeStyle, context.lineWidth] = [`rgb(${one.rgb.join(",")})`, 1.8];
      context.stroke(path);
    }
  }
  function drawCross(context, plane, frame) {
    const { across, down, downward } = PLANES[plane];
    const column = state.cursor[across] - frame.start[across];
    const row = state.cursor[down] - frame.start[down];
    const x = frame.x + (column + 0.5) / frame.columns * frame.width;
    const y = frame.y + ((downward ? row : frame.rows - 1 - row) + 0.5) / frame.rows * frame.height;
    [context.strokeStyle, context.lineWidth] = ["rgba(140, 215, 255, 0.55)", 1];
    context.beginPath();
    context.moveTo(frame.x, y); context.lineTo(frame.x + frame.width, y);
    context.moveTo(x, frame.y); context.lineTo(x, frame.y + frame.height);
    context.stroke();
  }
  function draw() {
    if (!state.shown) return;
    state.panels.forEach(drawPanel);
    byId("labels").hidden = !["reference", "prediction"].some((kind) => byId(kind).value !== "hidden");
    byId("kinds").hidden = byId("differences").value === "hidden";
    byId("place").textContent = status();
  }
  function status() {
    const { affine, volumes, size } = state.shown;
    const mm = [0, 1, 2].map((row) => state.cursor.reduce((sum, index, axis) => sum + affine[row][axis] * index, affine[row][3]));
    const at = place(size, state.cursor);
    const value = volumes.image.values[at] * volumes.image.slope + volumes.image.intercept;
    const name = (kind) => data.labels.find((one) => one.value === volumes[kind].values[at])?.name ?? "background";
    const maps = ["reference", "prediction"].filter((kind) => volumes[kind]).map((kind) => `${kind} ${name(kind)}`);
    const place3 = ["x", "y", "z"].map((axis, index) => `${axis} ${mm[index].toFixed(1)}`).join(", ");
    return `${place3} mm · ${Number(value.toPrecision(4))} · ${maps.join(", ")}`;
  }

  // ---- rendering ----------------------------------------------------------------------------------------------------
  let rendering = null;
  async function showRendering() {
    const box = byId("rendering");
    if (!box) return;
    box.hidden = byId("view").value !== "render";
    if (box.hidden) return;
    if (!rendering) {
      rendering = new niivue.Niivue({ backColor: [0, 0, 0, 1], isOrientCube: true, crosshairWidth: 0, dragAndDropEnabled: false, logLevel: "error", loadingText: "" });
      await rendering.attachToCanvas(box.querySelector("canvas"));
      rendering.setSliceType(rendering.sliceTypeRender);
    }
    const one = state.shown;
    while (rendering.volumes.length) rendering.removeVolumeByIndex(0);
    const load = (kind, options) => niivue.NVImage.loadFromBase64({ base64: one[kind], name: `${one.id}_${kind}.nii.gz`, ...options });
    rendering.addVolume(await load("image", { colormap: "gray", cal_min: one.window[0], cal_max: one.window[1], opacity: byId("image").checked ? 1 : 0 }));
    for (const kind of KINDS) {
      if (!one[kind] || byId(kind).value === "hidden") continue;
      const labels = await load(kind, { opacity: Number(byId("opacity").value) / 100 });
      const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
      for (const { rgb, value, name } of colours(kind)) {
        table.R.push(rgb[0]); table.G.push(rgb[1]); table.B.push(rgb[2]); table.A.push(255); table.I.push(value); table.labels.push(name);
      }
      labels.setColormapLabel(table);
      rendering.addVolume(labels);
    }
  }

  // ---- controls -----------------------------------------------------------------------------------------------------
  const failed = (error) => { byId("note").textContent = `The viewer cannot continue: ${error.message}`; throw error; };
  const rerender = () => { draw(); showRendering().catch(failed); };
  for (const name of ["image", "closeup", "opacity", "reference", "prediction"]) byId(name).addEventListener("input", rerender);
  byId("differences").addEventListener("input", () => {
    // beneath the label maps they could not be seen
    const on = byId("differences").value !== "hidden";
    byId("reference").value = on ? "hidden" : "filled";
    byId("prediction").value = on ? "hidden" : "outlined";
    rerender();
  });
  for (const name of ["view", "layout"]) byId(name).addEventListener("input", () => { arrange(); showRendering().catch(failed); });
  byId("channel").addEventListener("input", () => readChannel(state.shown).then(rerender).catch(failed));
  byId("case").addEventListener("input", () => show(Number(byId("case").value)).catch(failed));
  new ResizeObserver(draw).observe(byId("stage"));
  await show(0);
})().catch((error) => {
  document.getElementById("note").textContent = `The viewer could not start: ${error.message}`;
  throw error;
});
