// The start: the page's data, one player, and the views around it.

const THEMES = ["auto", "light", "dark"];

function notice(text) {
  byId("notices").append(el("p", { class: "notice" }, text));
}

function nextTheme() {
  const root = document.documentElement;
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme || "auto") + 1) % THEMES.length];
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

/** Some browsers can't decode the small audio (Safari before 18.4); FLAC works in all. */
function audioFailed(error, page, state) {
  if (state.quality === "small" && page.full_quality && !state.failed) {
    notice("This browser can't decode the small audio (Opus in Ogg), so you hear the full quality.");
    state.update({ quality: "full", failed: true });
    return;
  }
  const remedy = page.full_quality
    ? "The folder with the full quality must lie beside this page."
    : "Open the page in another browser, or make it with --full-quality.";
  notice(`The audio can't be played: ${error.message || "this browser can't decode Opus in Ogg."} ${remedy}`);
}

function start() {
  const page = JSON.parse(byId("page-data").textContent);
  byId("title").textContent = page.title;
  const length = clock(page.frames / page.sample_rate, 0);
  byId("subtitle").textContent = `${counted(page.versions.length, "version")}, ${length}, ${page.sample_rate / 1000} kHz`;
  page.notes.forEach(notice);

  const state = new State();
  const store = new AudioStore(page);
  const context = new AudioContext({ sampleRate: page.sample_rate, latencyHint: "interactive" });
  const player = new Player(context, store);
  player.onerror = (error) => audioFailed(error, page, state);
  const transport = new Transport(page, state, player);
  const pictures = new Pictures(page, state, player);
  const stems = new StemList(page, state);
  const blind = new BlindTest(page, state, player);
  new Keyboard(page, state, player, transport);
  loudnessTables(page);
  alignmentTables(page);
  effectsSection(page, state, player);
  metricTables(page);
  aboutSection(page);
  byId("theme").addEventListener("click", () => {
    nextTheme();
    state.update({});
  });

  const refresh = () => {
    transport.refresh();
    pictures.draw();
  };
  player.onchange = refresh;
  let last = 0;
  const tick = (time) => {
    if (player.playing && time - last > 40) {
      last = time;
      refresh();
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  /** For the console and for tests. */
  window.comparison = { page, state, store, player, transport, blind, stems, Player, binomialTail, abxPValue, preferencePValue, mixFor };
}

document.addEventListener("DOMContentLoaded", start);
