"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  const note = (text) => (byId("note").textContent = text);
  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1],
    isRadiologicalConvention: true, // the patient's right on the left, as in the report
    sagittalNoseLeft: true,
    isOrientCube: true,
    fontColor: [1, 1, 1, 1],
    crosshairWidth: 0.3,
    crosshairWidthUnit: "percent",
    crosshairColor: [0.3, 0.8, 1, 0.7],
    dragAndDropEnabled: false,
    logLevel: "error",
    loadingText: "",
    onLocationChange: (place) => (byId("place").textContent = place.string),
  });
  await viewer.attachToCanvas(byId("canvas"));
  function colours(rows) {
    const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
    for (const one of rows) {
      table.R.push(one.rgb[0]); table.G.push(one.rgb[1]); table.B.push(one.rgb[2]);
      table.A.push(255); table.I.push(one.value); table.labels.push(one.name);
    }
    return table;
  }
  const kinds = ["reference", "prediction", "differences"];
  let overlays = {};

  async function volume(base64, name, options) {
    return niivue.NVImage.loadFromBase64({ base64, name, ...options });
  }
  function showOverlays() {
    const strength = Number(byId("opacity").value) / 100;
    for (const [kind, index] of Object.entries(overlays)) {
      viewer.setOpacity(index, byId(kind).checked ? strength : 0);
    }
    byId("kinds").hidden = !(byId("labels").hidden = byId("differences").checked);
    viewer.setOpacity(0, byId("image").checked ? 1 : 0);
    viewer.updateGLVolume();
  }
  async function show(number) {
    const one = data.cases[number];
    while (viewer.volumes.length) viewer.removeVolumeByIndex(0);
    overlays = {};
    viewer.addVolume(await volume(one.image, `${one.id}.nii.gz`, { colormap: "gray", cal_min: one.window[0], cal_max: one.window[1] }));
    for (const kind of kinds) {
      byId(kind).disabled = !one[kind];
      if (!one[kind]) continue;
      const label = await volume(one[kind], `${one.id}_${kind}.nii.gz`, { opacity: 0.5 });
      label.setColormapLabel(colours(kind === "differences" ? data.differences : data.labels));
      viewer.addVolume(label);
      overlays[kind] = viewer.volumes.length - 1;
    }
    viewer.scene.crosshairPos = viewer.mm2frac(one.centre_mm);
    showOverlays();
    note(one.note);
    document.body.dataset.shown = one.id; // for tests, and for whoever scripts this page
  }
  const views = {
    all: () => viewer.setSliceType(viewer.sliceTypeMultiplanar),
    axial: () => viewer.setSliceType(viewer.sliceTypeAxial),
    coronal: () => viewer.setSliceType(viewer.sliceTypeCoronal),
    sagittal: () => viewer.setSliceType(viewer.sliceTypeSagittal),
    render: () => viewer.setSliceType(viewer.sliceTypeRender),
  };
  viewer.opts.multiplanarShowRender = 1; // always beside the planes
  viewer.setMultiplanarLayout(2); // a grid
  byId("view").addEventListener("change", () => views[byId("view").value]());
  byId("outline").addEventListener("change", () => viewer.setAtlasOutline(byId("outline").checked ? 1 : 0));
  for (const kind of ["image", ...kinds]) byId(kind).addEventListener("change", showOverlays);
  byId("differences").addEventListener("change", () => {
    const on = byId("differences").checked;
    // beneath the label maps they could not be seen
    for (const kind of ["reference", "prediction"]) byId(kind).checked = !on;
    showOverlays();
  });
  byId("opacity").addEventListener("input", showOverlays);
  byId("case").addEventListener("change", () => show(Number(byId("case").value)));
  views.all();
  await show(0);
})().catch((error) => {
  document.getElementById("note").textContent = `The viewer could not start: ${error.message} It needs WebGL 2.`;
  throw error;
});
