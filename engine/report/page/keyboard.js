// Keyboard: single keys, which can be switched off, and which leave text fields and sliders alone.

const KEYS = [
  ["Space", "play or pause"],
  ["1 \u2026 9", "choose a version"],
  ["\u2190 \u2192", "5 s back or on; with Shift 1 s"],
  ["Home", "to the start"],
  ["L", "loop on or off"],
  ["[ and ]", "the loop starts or ends here"],
  ["S", "solo the next stem, after the last one none"],
  ["M", "matched loudness on or off"],
  ["D", "the next picture"],
  ["?", "this list"],
];
const PICTURES = ["spectrogram", "difference", "all"];

class Keyboard {
  constructor(page, state, player, transport) {
    this.page = page;
    this.state = state;
    this.player = player;
    this.transport = transport;
    document.addEventListener("keydown", (event) => this.press(event));
    // After a click the space bar shall play, not press the same button again.
    document.addEventListener("click", (event) => {
      if (event.detail > 0 && event.target instanceof HTMLButtonElement) event.target.blur();
    });
    byId("help-keys").replaceChildren(
      ...KEYS.flatMap(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)]),
    );
    byId("help-open").addEventListener("click", () => byId("help").showModal());
    byId("help-close").addEventListener("click", () => byId("help").close());
    byId("shortcuts").addEventListener("change", (event) => state.update({ shortcuts: event.target.checked }));
  }

  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || byId("help").open || !this.state.shortcuts) return;
    const target = event.target;
    const tag = target.tagName;
    const typing = tag === "SELECT" || (tag === "INPUT" && ["text", "number"].includes(target.type));
    if (typing) return;
    const owns = tag === "BUTTON" || tag === "SUMMARY" || target.type === "checkbox";
    if (event.key === " " && owns) return;
    // The position slider's own steps are too fine for keys; the others keep their arrows.
    const slider = target.type === "range" && target.id !== "seek";
    const arrows = slider || target.type === "radio" || target.classList.contains("table-frame");
    if (event.key.startsWith("Arrow") && arrows) return;
    if (event.key === "Home" && slider) return;
    if (this._do(event)) event.preventDefault();
  }

  /** True if the key meant something. */
  _do(event) {
    const { page, state, player } = this;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const step = (event.shiftKey ? 1 : 5) * page.sample_rate;
    if (key === " ") this.transport.toggle();
    else if (key === "ArrowLeft") player.seek(Math.max(0, player.position() - step));
    else if (key === "ArrowRight") player.seek(Math.min(page.frames - 1, player.position() + step));
    else if (key === "Home") player.seek(player.loop ? player.loop[0] : 0);
    else if (key === "l") toggleLoop(page, player);
    else if (key === "[") moveLoop(page, player, "start");
    else if (key === "]") moveLoop(page, player, "stop");
    else if (state.blind) return state.blind.press(key);
    else if (/^[1-9]$/.test(key)) this._choose(Number(key) - 1);
    else if (key === "s" && page.stem_names.length) cycleSolo(page, state);
    else if (key === "m") {
      state.update({ matched: !state.matched });
      announce(state.matched ? "Matched loudness" : "Loudness as it is");
    } else if (key === "d") state.update({ picture: PICTURES[(PICTURES.indexOf(state.picture) + 1) % PICTURES.length] });
    else if (key === "?") byId("help").showModal();
    else return false;
    return true;
  }

  _choose(index) {
    if (index >= this.page.versions.length) return;
    this.state.update({ version: index });
    announce(this.page.versions[index].name);
  }
}
