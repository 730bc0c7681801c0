// StemList: solo and mute per stem, with the stem's waveform in the version that plays.

class StemList {
  constructor(page, state) {
    this.page = page;
    this.state = state;
    byId("stems").hidden = !page.stem_names.length;
    if (!page.stem_names.length) return;
    byId("stems-words").textContent =
      "Solo and mute take a version's stems instead of its mix; the mix's own chain and limiter are left out then. " +
      "A stem that is soloed alone has its own loudness matched between the versions.";
    this.rows = page.stem_names.map((stem) => this._row(stem));
    byId("stem-list").replaceChildren(...this.rows.map((row) => row.element));
    new ResizeObserver(() => this.update()).observe(byId("stem-list"));
    state.listen(() => this.update());
  }

  _row(stem) {
    const button = (set, words) =>
      el(
        "button",
        { type: "button", "aria-label": `${words} ${stem}`, onclick: () => this.state.toggle(set, stem) },
        words,
      );
    const solo = button("solo", "Solo");
    const mute = button("mute", "Mute");
    const canvas = el("canvas", { role: "img", "aria-label": `Waveform of ${stem}` });
    const element = el("div", { class: "stem" }, el("span", { class: "name" }, stem), solo, mute, canvas);
    return { stem, solo, mute, canvas, element };
  }

  update() {
    const version = this.page.versions[this.state.version];
    const heard = heardStems(this.state, this.page);
    for (const { stem, solo, mute, canvas } of this.rows) {
      solo.setAttribute("aria-pressed", String(this.state.solo.has(stem)));
      mute.setAttribute("aria-pressed", String(this.state.mute.has(stem)));
      const { context, width, height } = fitted(canvas);
      const track = this.page.tracks[version.stems[stem]];
      if (!track) continue;
      const silent = heard && !heard.includes(stem);
      drawWaveform(context, width, height, track, silent ? "#565d68" : PICTURE_COLOURS[this.state.version % 6], 1);
    }
  }
}

/** Solo the next stem, and after the last one none. */
function cycleSolo(page, state) {
  const current = state.solo.size === 1 ? page.stem_names.indexOf([...state.solo][0]) : -1;
  const next = page.stem_names[current + 1];
  state.update({ solo: new Set(next ? [next] : []) });
  announce(next ? `Solo ${next}` : "All stems");
}
