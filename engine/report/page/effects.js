// Effects: what each repair and each effect found and did, with a button for every place.

const SHOWN_PLACES = 24;

function effectsSection(page, state, player) {
  const parts = [];
  page.versions.forEach((version, index) => {
    if (!version.effects.length) return;
    const applied = version.effects.filter((effect) => effect.applied);
    const idle = version.effects.filter((effect) => !effect.applied);
    const rows = [el("div", { class: "effects" }, applied.map((effect) => effectRow(effect, index, page, state, player)))];
    if (idle.length) {
      const names = idle.map((effect) => `${effect.effect} (${effect.part})`).join(", ");
      rows.push(el("p", { class: "muted" }, `Looked, and found nothing to do: ${names}.`));
    }
    const open = index === Math.min(1, page.versions.length - 1);
    parts.push(
      el("details", { open }, el("summary", {}, `${version.name}: ${counted(applied.length, "effect")} at work`), ...rows),
    );
  });
  if (!parts.length) parts.push(el("p", {}, "Nothing was changed in these versions."));
  byId("repairs").replaceChildren(...parts);
}

function effectRow(effect, index, page, state, player) {
  const row = el("div", { class: "effect" });
  row.append(el("span", { class: "tag" }, effect.part), el("strong", {}, effect.effect));
  if (effect.synthetic) row.append(" ", el("span", { class: "tag" }, "adds sound that was not recorded"));
  const sentences = [effect.found, effect.done].filter(Boolean).join(" ");
  if (sentences) row.append(el("p", {}, sentences));
  if (effect.figures.length) row.append(el("p", { class: "muted" }, effect.figures.join(", ")));
  if (effect.places.length) {
    const buttons = effect.places.slice(0, SHOWN_PLACES).map((place) => {
      const band = place.low_hz === undefined ? "" : `, ${hertz(place.low_hz)} to ${hertz(place.high_hz ?? page.scale.top_hz)}`;
      return el(
        "button",
        {
          type: "button",
          "aria-label": `Go to ${clock(place.start_s)}${band}`,
          onclick: () => {
            state.update({ version: index });
            player.seek(Math.max(0, place.start_s - 0.5) * page.sample_rate);
          },
        },
        `${clock(place.start_s)}${band}`,
      );
    });
    const more = effect.places_total - buttons.length;
    row.append(el("div", { class: "places" }, buttons, more > 0 ? el("span", { class: "muted" }, `and ${counted(more, "more place")}`) : null));
  }
  return row;
}
