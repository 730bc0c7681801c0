// Drawing: bytes from the page become waveforms, spectrograms and differences.

const SHOWN_RANGE_DB = 85;
const DIFFERENCE_DB = 6;

/** Bytes of a base64 text. */
function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** 256 colours through `stops` ([r, g, b] each, evenly spaced). */
function colourTable(stops) {
  const table = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    for (let c = 0; c < 3; c++) table[3 * i + c] = stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]);
  }
  return table;
}

const HEAT = colourTable([[6, 6, 14], [36, 14, 78], [108, 24, 110], [190, 50, 90], [240, 110, 50], [252, 190, 80], [255, 250, 210]]);
// Blue is less, orange is more; equal is dark.
const COMPARE = colourTable([[150, 222, 255], [50, 140, 235], [24, 70, 140], [17, 19, 24], [132, 64, 14], [235, 130, 30], [255, 222, 140]]);

/** The levels of a track, decoded once. */
function levelsOf(track) {
  if (!track.levels) track.levels = bytesOf(track.spectrogram);
  return track.levels;
}

function image(track, colourOf, table) {
  const { columns, rows } = track;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const entry = 3 * colourOf(row * columns + column);
      const at = 4 * ((rows - 1 - row) * columns + column);
      pixels.data[at] = table[entry];
      pixels.data[at + 1] = table[entry + 1];
      pixels.data[at + 2] = table[entry + 2];
      pixels.data[at + 3] = 255;
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** The byte that is drawn brightest: common to all versions, so that they can be compared. */
function loudestByte(page) {
  if (page.loudest === undefined) {
    page.loudest = 0;
    for (const version of page.versions) {
      for (const byte of levelsOf(page.tracks[version.mix])) if (byte > page.loudest) page.loudest = byte;
    }
  }
  return page.loudest;
}

/** A spectrogram as an image of one pixel per value. */
function spectrogramImage(page, track) {
  if (!track.image) {
    const levels = levelsOf(track);
    const top = loudestByte(page);
    const step = 255 / (SHOWN_RANGE_DB / page.scale.step_db);
    track.image = image(track, (i) => Math.round(Math.max(0, Math.min(255, 255 - (top - levels[i]) * step))), HEAT);
  }
  return track.image;
}

/** What `track` has more (orange) or less (blue) than `reference`, at matched loudness. */
function differenceImage(page, track, reference) {
  const key = `difference:${reference.id}`;
  if (!track[key]) {
    const a = levelsOf(track);
    const b = levelsOf(reference);
    const offset = track.match_db - reference.match_db;
    const floor = loudestByte(page) - SHOWN_RANGE_DB / page.scale.step_db;
    track[key] = image(
      track,
      (i) => {
        // What lies below the floor in both is equal, whatever its numbers say.
        const difference = (Math.max(a[i], floor) - Math.max(b[i], floor)) * page.scale.step_db;
        const shown = difference === 0 ? 0 : difference + offset;
        return Math.round(127.5 + 127.5 * Math.max(-1, Math.min(1, shown / DIFFERENCE_DB)));
      },
      COMPARE,
    );
  }
  return track[key];
}

/** Fit a canvas to its place on this screen; its context, scaled to CSS pixels, and its size in them. */
function fitted(canvas) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Draw a track's waveform at `gain` over the whole canvas. */
function drawWaveform(context, width, height, track, colour, gain) {
  if (!track.extremes) track.extremes = new Int8Array(bytesOf(track.peaks).buffer);
  const columns = track.extremes.length / 2;
  const middle = height / 2;
  context.fillStyle = colour;
  for (let x = 0; x < width; x++) {
    const first = Math.floor((x * columns) / width);
    const last = Math.max(first + 1, Math.floor(((x + 1) * columns) / width));
    let low = 127;
    let high = -127;
    for (let c = first; c < last && c < columns; c++) {
      low = Math.min(low, track.extremes[2 * c]);
      high = Math.max(high, track.extremes[2 * c + 1]);
    }
    const top = middle - (Math.min(high * gain, 127) / 127) * (middle - 2);
    const bottom = middle - (Math.max(low * gain, -127) / 127) * (middle - 2);
    context.fillRect(x, top, 1, Math.max(1, bottom - top));
  }
}

/** Where a frequency lies on a picture: 0 at its bottom, 1 at its top. */
function melShare(hz, topHz) {
  return Math.log10(1 + hz / 700) / Math.log10(1 + topHz / 700);
}

/** The colour of a version, which the style sheet knows. */
function colourOf(index) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--v${index % 6}`).trim();
}
