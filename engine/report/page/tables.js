// Tables: loudness, alignment, measurements, and how it was made.

function loudnessTables(page) {
  const columns = [
    { name: "" },
    { name: "LUFS", number: true },
    { name: "Range (LU)", number: true },
    { name: "True peak (dBTP)", number: true },
    { name: "Crest (dB)", number: true },
    { name: "Matched by (dB)", number: true },
  ];
  const cells = (name, row) => [
    name,
    number(row.lufs, 1),
    number(row.loudness_range_lu, 1),
    number(row.true_peak_db, 1, { sign: true }),
    number(row.crest_db, 1),
    number(row.match_db, 1, { sign: true }),
  ];
  const mixes = page.versions.filter((version) => version.loudness.length);
  const parts = [dataTable("The mixes", columns, mixes.map((version) => cells(version.name, version.loudness[0])))];
  for (const version of page.versions) {
    const stems = version.loudness.slice(1);
    if (!stems.length) continue;
    const table = dataTable(`The stems of ${version.name}`, columns, stems.map((row) => cells(row.part, row)));
    parts.push(el("details", {}, el("summary", {}, `Stems of ${version.name}`), table));
  }
  byId("loudness").replaceChildren(...parts);
}

function verdict(word) {
  return el("span", { class: word }, word);
}

function alignmentTables(page) {
  const columns = [
    { name: "" },
    { name: "Verdict" },
    { name: "Delay (samples)", number: true },
    { name: "Polarity" },
    { name: "Coherence", number: true },
  ];
  const parts = [];
  for (const version of page.versions) {
    if (!version.alignment.length) continue;
    const rows = version.alignment.map((row) => [
      row.part,
      verdict(row.verdict),
      number(row.delay_samples, 3),
      row.polarity === null ? NONE : row.polarity > 0 ? "same" : "inverted",
      number(row.coherence, 4),
    ]);
    parts.push(dataTable(`${version.name}: each part against itself before it was changed`, columns, rows));
    const reasons = version.alignment.flatMap((row) => row.reasons.map((reason) => `${row.part}: ${reason}`));
    parts.push(...reasons.map((reason) => el("p", { class: "muted" }, reason)));
    if (version.null_rms_db !== null) {
      parts.push(
        el("p", {}, `Null depth: the stems before their chains sum to the song down to ${number(version.null_rms_db, 1)} dBFS RMS (${number(version.null_peak_db, 1)} dBFS peak).`),
      );
    }
    parts.push(phaseTable(version));
  }
  if (!parts.length) parts.push(el("p", {}, "No job stands behind these versions, so nothing was measured."));
  byId("alignment").replaceChildren(...parts.filter(Boolean));
}

/** Phase per band and part. */
function phaseTable(version) {
  const measured = version.alignment.filter((row) => row.bands.length);
  if (!measured.length) return null;
  const columns = [{ name: "Band" }, ...measured.map((row) => ({ name: row.part, number: true }))];
  const rows = measured[0].bands.map((band, index) => [
    `${hertz(band.low_hz)} to ${hertz(band.high_hz)}`,
    ...measured.map((row) => number(row.bands[index]?.phase_deg, 1, { sign: true, unit: "°" })),
  ]);
  const table = dataTable(`${version.name}: phase against the part before it was changed`, columns, rows);
  return el("details", {}, el("summary", {}, `Phase per band, ${version.name}`), table);
}

function metricTables(page) {
  const measured = page.versions.filter((version) => version.metrics.length);
  byId("metrics-section").hidden = !measured.length;
  if (!measured.length) return;
  const names = [...new Set(measured.flatMap((version) => version.metrics.map(([name]) => name)))];
  const columns = [{ name: "" }, ...measured.map((version) => ({ name: version.name, number: true }))];
  const rows = names.map((name) => [
    name,
    ...measured.map((version) => (version.metrics.find((metric) => metric[0] === name) || [name, NONE])[1]),
  ]);
  const [start, stop] = page.measured_s;
  const whole = stop - start > page.frames / page.sample_rate - 0.5;
  const what = whole ? "the mixes" : `the mixes from ${clock(start, 0)} to ${clock(stop, 0)}`;
  byId("metrics").replaceChildren(dataTable(`What 'stemfix metrics' gives for ${what}`, columns, rows));
}

function definitions(pairs) {
  return el("dl", {}, pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function aboutSection(page) {
  const parts = page.versions
    .filter((version) => version.about.length)
    .map((version) => el("details", {}, el("summary", {}, version.name), definitions(version.about)));
  for (const [model, licence] of page.licences) {
    parts.push(el("details", {}, el("summary", {}, `Licence of the weights of ${model}`), el("p", { class: "licence" }, licence)));
  }
  parts.push(el("p", { class: "muted" }, `Made by stemfix ${page.stemfix_version}. This page holds everything it needs and loads nothing from the network.`));
  byId("about").replaceChildren(...parts);
}
