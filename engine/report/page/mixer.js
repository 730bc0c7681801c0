// mixFor: which tracks are heard, at which gains, for a version, its solos and mutes, and matched or as it is.

/** The stems that are heard, or null where nothing is soloed or muted: then the mix is. */
function heardStems(state, page) {
  if (!state.solo.size && !state.mute.size) return null;
  return page.stem_names.filter((stem) => (state.solo.size ? state.solo.has(stem) : !state.mute.has(stem)));
}

/** Gains by track for one version. */
function gainsFor(version, state, page) {
  const tracks = page.tracks;
  const stems = heardStems(state, page);
  if (!stems || !Object.keys(version.stems).length) {
    return { [version.mix]: factor(state.matched ? tracks[version.mix].match_db : 0) };
  }
  const heard = stems.filter((stem) => stem in version.stems);
  const gains = {};
  for (const stem of heard) {
    const track = version.stems[stem];
    // One stem alone is matched to itself in the other versions; several keep their balance in the mix.
    const whole = version.stems_to_mix_db + (state.matched ? tracks[version.mix].match_db : 0);
    gains[track] = factor(state.matched && heard.length === 1 ? tracks[track].match_db : whole);
  }
  return gains;
}

/** What the player is to do: `gains` of what is heard, and the tracks that a switch could ask for next. */
function mixFor(state, page) {
  const gains = gainsFor(page.versions[state.version], state, page);
  const ready = page.versions.flatMap((version) => Object.keys(gainsFor(version, state, page)));
  return { gains, ready };
}
