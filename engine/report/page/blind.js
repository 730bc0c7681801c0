// BlindTest: the screens of the blind mode. Nothing on them tells which version plays.

const LETTERS = "ABCDEFGHI";

class BlindTest {
  constructor(page, state, player) {
    this.page = page;
    this.state = state;
    this.player = player;
    this.results = [];
    this.session = null;
    this.label = 0;
    byId("open-blind").hidden = page.versions.length < 2;
    byId("open-blind").addEventListener("click", () => this.open());
  }

  open() {
    byId("blind").hidden = false;
    this._choose();
    this._focus();
  }

  close() {
    this.session = null;
    byId("blind").hidden = true;
    document.body.classList.remove("blind-running");
    this.state.update({ blind: null });
    byId("open-blind").focus();
  }

  /** What the player is to do while the session runs. */
  mix() {
    const matched = (index) => {
      const track = this.page.versions[index].mix;
      return [track, factor(this.page.tracks[track].match_db)];
    };
    const ready = this.session.versions.map((index) => this.page.versions[index].mix);
    return { gains: Object.fromEntries([matched(this.session.behind(this.label))]), ready };
  }

  /** A key during a session. */
  press(key) {
    const last = this.session.kind === "abx" ? 3 : this.session.versions.length;
    const labels = this.session.kind === "abx" ? "abx" : LETTERS.slice(0, last).toLowerCase();
    const label = labels.includes(key) ? labels.indexOf(key) : Number(key) - 1;
    if (!(label >= 0 && label < last)) return false;
    this.listen(label);
    return true;
  }

  listen(label) {
    if (this.session.done) return;
    this.label = label;
    this.state.update({});
    byId("blind-body").querySelectorAll("[data-label]").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.label) === label));
    });
  }

  _show(...parts) {
    byId("blind-body").replaceChildren(...parts);
  }

  _focus() {
    byId("blind").scrollIntoView({ block: "start" });
    const heading = byId("blind-heading");
    heading.tabIndex = -1;
    heading.focus();
  }

  _heading(text) {
    return el("h2", { id: "blind-heading" }, text);
  }

  _choose() {
    const names = this.page.versions.map((version) => version.name);
    const select = (id, words, chosen) =>
      el("label", {}, words, el("select", { id }, names.map((name, index) => el("option", { value: index, selected: index === chosen }, name))));
    const amount = (id, words, value) =>
      el("label", {}, words, el("input", { id, type: "number", min: 1, max: 100, value }));
    const start = (make) => () => this._start(make());
    const count = (id) => Math.max(1, Math.min(100, Math.round(Number(byId(id).value)) || 1));
    const abx = el(
      "div",
      {},
      el("h3", {}, "ABX: can you hear a difference?"),
      el("p", { class: "muted" }, "X is A or B, by chance, in every trial. From 16 trials on, guessing seldom looks like hearing."),
      el("div", { class: "form" }, select("abx-a", "A", 0), select("abx-b", "B", 1), amount("abx-total", "Trials", 16)),
      el("button", { type: "button", class: "accent", id: "abx-start", onclick: start(() => new AbxSession(Number(byId("abx-a").value), Number(byId("abx-b").value), count("abx-total"))) }, "Start ABX"),
    );
    const boxes = names.map((name, index) =>
      el("label", { class: "check" }, el("input", { type: "checkbox", checked: true, value: index, name: "among" }), name),
    );
    const among = () => [...document.querySelectorAll("[name=among]:checked")].map((box) => Number(box.value)).slice(0, LETTERS.length);
    const preference = el(
      "div",
      {},
      el("h3", {}, "Preference: which one do you like best?"),
      el("p", { class: "muted" }, "In every round the versions come in a new order, as A, B, C. The first round also asks for ratings."),
      el("div", { class: "form" }, boxes, amount("preference-total", "Rounds", 10), el("label", { class: "check" }, el("input", { id: "with-ratings", type: "checkbox", checked: true }), "Ask for ratings")),
      el("button", { type: "button", class: "accent", id: "preference-start", onclick: () => {
        if (among().length < 2) return this._say("Choose at least two versions.");
        return this._start(new PreferenceSession(among(), count("preference-total"), byId("with-ratings").checked));
      } }, "Start preference test"),
    );
    this._show(
      this._heading("Blind test"),
      el("p", {}, "You hear the versions at the same loudness and don't see which one plays. Position, loop and play work as usual."),
      el("div", { class: "tests" }, abx, preference),
      el("p", { id: "blind-say", role: "alert" }),
      el("button", { type: "button", onclick: () => this.close() }, "Back to the page"),
    );
  }

  _say(text) {
    byId("blind-say").textContent = text;
  }

  _start(session) {
    if (new Set(session.versions).size < session.versions.length) return this._say("Choose two different versions.");
    this.session = session;
    this.label = 0;
    document.body.classList.add("blind-running");
    this.state.update({ blind: this, solo: new Set(), mute: new Set() });
    this._trial();
    this._focus();
    return undefined;
  }

  _trial() {
    const { session } = this;
    if (session.done) return this._finish();
    const isAbx = session.kind === "abx";
    const labels = isAbx ? ["A", "B", "X"] : session.versions.map((_, index) => LETTERS[index]);
    const listen = labels.map((name, label) =>
      el("button", { type: "button", "data-label": label, "aria-pressed": "false", "aria-label": `Listen to ${name}`, onclick: () => this.listen(label) }, name),
    );
    const number = (isAbx ? session.trials : session.rounds).length + 1;
    const answer = (choice) => {
      session.answer(choice);
      this._trial();
    };
    const question = isAbx ? "Which one is X?" : "Which one do you like best?";
    const choices = (isAbx ? ["A", "B"] : labels).map((name, choice) =>
      el("button", { type: "button", class: "accent", "data-answer": choice, onclick: () => answer(choice) }, isAbx ? `X is ${name}` : `${name} is best`),
    );
    const asked = session.rating
      ? this._ratingForm(labels)
      : [el("p", {}, question), el("div", { class: "choices" }, choices)];
    this._show(
      this._heading(isAbx ? `ABX, trial ${number} of ${session.total}` : `Preference, round ${number} of ${session.total}`),
      el("p", { class: "muted" }, `Listen (keys ${labels.map((_, i) => i + 1).join(", ")}), switch as often as you like, then answer.`),
      el("div", { class: "choices", role: "group", "aria-label": "Listen to" }, listen),
      ...asked,
      el("button", { type: "button", onclick: () => this._finish() }, "End the test"),
    );
    this.listen(Math.min(this.label, labels.length - 1));
    announce(`${isAbx ? "Trial" : "Round"} ${number} of ${session.total}`);
    return undefined;
  }

  _ratingForm(labels) {
    const rows = labels.map((name, label) => [
      el("h3", {}, name),
      ...SCALES.map((scale) => {
        const shown = el("output", {}, "5");
        const slider = el("input", {
          type: "range", min: 1, max: 10, value: 5, step: 1, "data-rating": `${label}-${scale}`,
          "aria-label": `${name}, ${SCALE_WORDS[scale]}, 1 to 10`,
          oninput: () => (shown.textContent = slider.value),
        });
        return el("div", { class: "rating" }, el("span", {}, SCALE_WORDS[scale]), slider, shown);
      }),
    ]);
    const done = () => {
      const score = (label, scale) => Number(document.querySelector(`[data-rating="${label}-${scale}"]`).value);
      this.session.rate(labels.map((_, label) => Object.fromEntries(SCALES.map((scale) => [scale, score(label, scale)]))));
      this._trial();
    };
    return [
      el("p", {}, "Rate what you hear from 1 (poor) to 10 (excellent)."),
      ...rows.flat(),
      el("p", {}, el("button", { type: "button", class: "accent", id: "ratings-done", onclick: done }, "These are my ratings")),
    ];
  }

  _finish() {
    const { session, page } = this;
    const result = session.result(page);
    if (result.total) this.results.push(result);
    session.x = null;
    session.order = null;
    document.body.classList.remove("blind-running");
    this.state.update({ blind: null });
    const listener = el("input", { type: "text", id: "listener", maxlength: 80, autocomplete: "off" });
    const save = () =>
      download(
        `${page.title.replace(/[^\p{L}\p{N} ._-]+/gu, "_").slice(0, 80) || "song"}-ratings.json`,
        JSON.stringify(ratingsFile(page, listener.value.trim(), this.results), null, 2),
        "application/json",
      );
    this._show(
      this._heading("Result"),
      ...(session.kind === "abx" ? this._abxResult(result) : this._preferenceResult(result)),
      el("div", { class: "form" }, el("label", {}, "Your name, if you like", listener)),
      el("p", {}, el("button", { type: "button", class: "accent", id: "save-ratings", disabled: !this.results.length, onclick: save }, "Save the answers (JSON)")),
      el("p", { class: "muted" }, "'stemfix ratings' adds up such files from many songs and listeners."),
      el("div", { class: "choices" },
        el("button", { type: "button", onclick: () => this._choose() }, "Another test"),
        el("button", { type: "button", onclick: () => this.close() }, "Back to the page")),
    );
    this._focus();
  }

  _abxResult(result) {
    const verdict = result.p_value < 0.05 ? "You most likely hear a difference." : "That could well be guessing.";
    return [
      el("p", { class: "result", id: "abx-result" }, `${result.correct} of ${result.total} right. By guessing alone, that or better happens with probability ${probability(result.p_value)}.`),
      el("p", {}, result.total ? verdict : "No trial was answered."),
    ];
  }

  _preferenceResult(result) {
    const { page, session } = this;
    const columns = [{ name: "" }, { name: "Chosen", number: true }, ...SCALES.map((scale) => ({ name: SCALE_WORDS[scale], number: true }))];
    const rows = session.versions.map((index) => {
      const rating = session.ratings.find((one) => one.version === index);
      return [page.versions[index].name, `${session.wins(index)} of ${result.total}`, ...SCALES.map((scale) => (rating ? String(rating[scale]) : NONE))];
    });
    const verdict = result.p_value < 0.05 ? "That is a preference." : "That could well be chance.";
    return [
      dataTable("What you chose", columns, rows),
      el("p", { class: "result", id: "preference-result" }, `By chance alone, one of them would be chosen that often with probability ${probability(result.p_value)}.`),
      el("p", {}, result.total ? verdict : "No round was answered."),
    ];
  }
}

const SCALE_WORDS = { clarity: "Clarity", naturalness: "Naturalness", professional: "Professional sound" };
