// Transport: play, position, loop, matched loudness, quality, and the choice of the version.

/** Loop the frames between two places of the song; less than a twentieth of a second is a slip. */
function setLoop(page, player, start, stop) {
  if (stop - start < page.sample_rate / 20) return;
  player.setLoop([start, Math.min(stop, page.frames)]);
}

/** Switch the loop on, around the next 10 s or what was last looped, or off. */
function toggleLoop(page, player) {
  if (player.loop) {
    player.lastLoop = player.loop;
    player.setLoop(null);
  } else if (player.lastLoop) {
    player.setLoop(player.lastLoop);
  } else {
    const start = Math.max(0, Math.min(player.position(), page.frames - 2 * page.sample_rate));
    setLoop(page, player, start, Math.min(start + 10 * page.sample_rate, page.frames));
  }
}

/** Move one end of the loop to where the song is now. */
function moveLoop(page, player, end) {
  const at = player.position();
  const [start, stop] = player.loop || [0, page.frames];
  if (end === "start") setLoop(page, player, at, at < stop ? stop : page.frames);
  else setLoop(page, player, at > start ? start : 0, at);
}

class Transport {
  constructor(page, state, player) {
    this.page = page;
    this.state = state;
    this.player = player;
    this.seconds = page.frames / page.sample_rate;
    this.seek = byId("seek");
    this.seek.max = this.seconds;
    byId("length").textContent = clock(this.seconds);
    byId("play").addEventListener("click", () => this.toggle());
    this.seek.addEventListener("input", () => player.seek(Number(this.seek.value) * page.sample_rate));
    byId("loop").addEventListener("click", () => toggleLoop(page, player));
    byId("loop-start").addEventListener("click", () => moveLoop(page, player, "start"));
    byId("loop-stop").addEventListener("click", () => moveLoop(page, player, "stop"));
    byId("matched").addEventListener("change", (event) => state.update({ matched: event.target.checked }));
    byId("quality").addEventListener("change", (event) =>
      state.update({ quality: event.target.checked ? "full" : "small" }),
    );
    byId("quality-label").hidden = !page.full_quality;
    this._versions();
    state.listen(() => this.update());
  }

  async toggle() {
    if (this.player.playing) return this.player.pause();
    await this.player.context.resume();
    return this.player.play();
  }

  /** Only what is different from before reaches the player. */
  update() {
    const { state, page } = this;
    const blind = state.blind;
    const mix = blind ? blind.mix() : mixFor(state, page);
    this.player.setMix(mix.gains, mix.ready);
    if (this.player.store.quality !== state.quality) this.player.setQuality(state.quality);
    byId("matched").checked = blind ? true : state.matched;
    byId("matched").disabled = Boolean(blind);
    byId("quality").checked = state.quality === "full";
    const version = page.versions[state.version];
    const radio = byId(`version-${state.version}`);
    if (radio) radio.checked = true;
    const stems = heardStems(state, page);
    const words = [version.description];
    if (stems && !Object.keys(version.stems).length) words.push("It has no stems here: you hear its mix.");
    else if (stems) words.push(stems.length ? `You hear: ${stems.join(", ")}.` : "Every stem is muted.");
    byId("version-words").textContent = words.filter(Boolean).join(" ");
    this.refresh();
  }

  /** What changes while it plays. */
  refresh() {
    const { player } = this;
    const at = player.position() / this.page.sample_rate;
    byId("time").textContent = clock(at);
    if (document.activeElement !== this.seek || player.playing) this.seek.value = at;
    this.seek.setAttribute("aria-valuetext", clockWords(at));
    byId("play").textContent = player.playing ? "Pause" : "Play";
    byId("loop").setAttribute("aria-pressed", String(Boolean(player.loop)));
    byId("loop-words").textContent = player.loop
      ? `${clock(player.loop[0] / this.page.sample_rate)} to ${clock(player.loop[1] / this.page.sample_rate)}`
      : "";
  }

  _versions() {
    const choices = this.page.versions.map((version, index) => {
      const row = version.loudness[0];
      const radio = el("input", {
        type: "radio",
        name: "version",
        id: `version-${index}`,
        onchange: () => this.state.update({ version: index }),
      });
      const level = row && row.lufs !== null ? `${number(row.lufs, 1)} LUFS` : "silent";
      const card = el(
        "span",
        { class: "card" },
        el("span", { class: "key", "aria-hidden": "true" }, String(index + 1)),
        el("span", { class: "name" }, version.name),
        el("span", { class: "level" }, level),
      );
      card.style.setProperty("--colour", `var(--v${index % 6})`);
      return el("label", { class: "version" }, radio, card);
    });
    byId("version-list").replaceChildren(...choices);
  }
}
