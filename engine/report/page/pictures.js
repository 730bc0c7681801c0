// Pictures: the waveform and the spectrograms, with the loop, the playhead and what was repaired on them.

const FREQUENCIES = [100, 500, 1000, 2000, 5000, 10000, 16000];
const DRAG_PX = 4;
/** The pictures' ground is dark in both themes, so their colours are those of the dark one. */
const PICTURE_COLOURS = ["#c8ced8", "#ffb454", "#6cc4ff", "#b8e26a", "#e3a1ff", "#ff9d9d"];

class Pictures {
  constructor(page, state, player) {
    this.page = page;
    this.state = state;
    this.player = player;
    this.waveform = byId("waveform");
    this.canvases = [];
    this._shown = "";
    this._pointing(this.waveform);
    for (const button of document.querySelectorAll("[data-picture]")) {
      button.addEventListener("click", () => state.update({ picture: button.dataset.picture }));
    }
    byId("marks").addEventListener("change", (event) => state.update({ marks: event.target.checked }));
    byId("marks-label").hidden = !page.versions.some((version) => version.effects.some((effect) => effect.places.length));
    new ResizeObserver(() => this.draw()).observe(byId("stage"));
    state.listen(() => this.update());
  }

  get version() {
    return this.page.versions[this.state.version];
  }

  update() {
    const names = this.page.versions.length > 1 ? this.state.picture : "spectrogram";
    for (const button of document.querySelectorAll("[data-picture]")) {
      button.setAttribute("aria-pressed", String(button.dataset.picture === names));
      button.hidden = this.page.versions.length < 2 && button.dataset.picture !== "spectrogram";
    }
    if (this._shown !== names) {
      this._shown = names;
      this._build(names);
    }
    this.draw();
  }

  _build(names) {
    const versions = names === "all" ? this.page.versions.map((_, index) => index) : [null];
    this.canvases = versions.map((index) => {
      const canvas = el("canvas", { role: "img", class: names === "all" ? "picture small" : "picture" });
      canvas.version = index;
      this._pointing(canvas);
      return canvas;
    });
    const parts = this.canvases.flatMap((canvas) =>
      canvas.version === null ? [canvas] : [el("p", { class: "picture-title" }, this.page.versions[canvas.version].name), canvas],
    );
    byId("pictures").replaceChildren(...parts);
    const strip = document.createElement("canvas");
    strip.width = 256;
    strip.height = 1;
    const context = strip.getContext("2d");
    const pixels = context.createImageData(256, 1);
    const table = names === "difference" ? COMPARE : HEAT;
    for (let i = 0; i < 256; i++) {
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = table[3 * i + c];
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    strip.setAttribute("aria-hidden", "true");
    const ends = names === "difference" ? [`${MINUS}${DIFFERENCE_DB} dB`, `+${DIFFERENCE_DB} dB`] : [`${MINUS}${SHOWN_RANGE_DB} dB`, "loudest"];
    byId("legend").replaceChildren(ends[0], strip, ends[1]);
  }

  draw() {
    // A blind listener sees one waveform, whichever version plays.
    const index = this.state.blind ? 0 : this.state.version;
    const track = this.page.tracks[this.page.versions[index].mix];
    const { context, width, height } = fitted(this.waveform);
    const gain = this.state.matched && !this.state.blind ? factor(track.match_db) : 1;
    drawWaveform(context, width, height, track, PICTURE_COLOURS[index % 6], gain);
    if (this.state.marks && !this.state.blind) this._marks(context, width, height, this.version, false);
    this._loop(context, width, height);
    this._playhead(context, width, height);
    const name = this.state.blind ? "the song" : this.version.name;
    this.waveform.setAttribute("aria-label", `Waveform of ${name}; the position slider below moves in it`);
    if (this.state.blind) return;
    for (const canvas of this.canvases) this._spectrogram(canvas);
  }

  _spectrogram(canvas) {
    const version = canvas.version === null ? this.version : this.page.versions[canvas.version];
    const track = this.page.tracks[version.mix];
    const { context, width, height } = fitted(canvas);
    context.imageSmoothingQuality = "high";
    const reference = this.page.versions[0];
    let words = `Spectrogram of ${version.name}`;
    if (this._shown === "difference") {
      const same = version === reference;
      words = same ? `${version.name} is what the others are compared with` : `Difference of ${version.name} to ${reference.name}: orange is more, blue is less`;
      context.drawImage(differenceImage(this.page, track, this.page.tracks[reference.mix]), 0, 0, width, height);
      if (same) {
        context.fillStyle = "#e9ecf1";
        context.font = "14px system-ui, sans-serif";
        context.fillText("This is the reference. Choose another version to see what it changed.", 60, height / 2);
      }
    } else {
      context.drawImage(spectrogramImage(this.page, track), 0, 0, width, height);
    }
    if (this.state.marks) this._marks(context, width, height, version, true);
    this._axis(context, height);
    this._loop(context, width, height);
    this._playhead(context, width, height);
    canvas.setAttribute("aria-label", words);
  }

  _axis(context, height) {
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    let last = Infinity;
    for (const hz of FREQUENCIES) {
      if (hz > this.page.scale.top_hz * 0.97) continue;
      const y = height * (1 - melShare(hz, this.page.scale.top_hz));
      if (y > height - 9 || last - y < 15) continue;
      last = y;
      const text = hertz(hz);
      context.fillStyle = "rgb(0 0 0 / 65%)";
      context.fillRect(0, y - 8, context.measureText(text).width + 10, 16);
      context.fillStyle = "#ffffff";
      context.fillText(text, 5, y);
    }
  }

  /** Places of repairs: on a spectrogram where they are, on the waveform a stripe along its top. */
  _marks(context, width, height, version, inPicture) {
    const top = this.page.scale.top_hz;
    const scale = width / (this.page.frames / this.page.sample_rate);
    for (const effect of version.effects) {
      for (const place of effect.places) {
        const x = place.start_s * scale;
        const wide = Math.max(2, (place.end_s - place.start_s) * scale);
        if (!inPicture) {
          context.fillStyle = "#7df9ff";
          context.fillRect(x, 0, wide, 5);
          continue;
        }
        const high = height * (1 - melShare(Math.min(place.high_hz ?? top, top), top));
        const low = height * (1 - melShare(place.low_hz ?? 0, top));
        context.strokeStyle = "#7df9ff";
        context.lineWidth = 1;
        context.strokeRect(x + 0.5, high + 0.5, wide, Math.max(2, low - high - 1));
      }
    }
  }

  _loop(context, width, height) {
    const loop = this.player.loop;
    if (!loop) return;
    const scale = width / this.page.frames;
    context.fillStyle = "rgb(0 0 0 / 50%)";
    context.fillRect(0, 0, loop[0] * scale, height);
    context.fillRect(loop[1] * scale, 0, width, height);
    context.fillStyle = "#8ec7ff";
    context.fillRect(loop[0] * scale - 1, 0, 2, height);
    context.fillRect(loop[1] * scale - 1, 0, 2, height);
  }

  _playhead(context, width, height) {
    const x = (this.player.position() / this.page.frames) * width;
    context.fillStyle = "#000000";
    context.fillRect(x - 2, 0, 4, height);
    context.fillStyle = "#ffffff";
    context.fillRect(x - 1, 0, 2, height);
  }

  /** A click goes there, a drag across makes a loop. */
  _pointing(canvas) {
    let from = null;
    const frameAt = (event) => {
      const box = canvas.getBoundingClientRect();
      return Math.round(Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * this.page.frames);
    };
    canvas.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, frame: frameAt(event) };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointercancel", () => (from = null));
    canvas.addEventListener("pointerup", (event) => {
      if (!from) return;
      const frame = frameAt(event);
      const dragged = Math.abs(event.clientX - from.x) > DRAG_PX;
      if (dragged) setLoop(this.page, this.player, Math.min(from.frame, frame), Math.max(from.frame, frame));
      else this.player.seek(frame);
      from = null;
    });
  }
}
