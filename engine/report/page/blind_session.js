// Blind sessions: what is played when and what was answered, without a word on the screen.

const SCALES = ["clarity", "naturalness", "professional"];

/** A whole number from 0 up to, but not, `limit`, that nobody can foresee; every one is as likely. */
function randomBelow(limit) {
  const cell = new Uint32Array(1);
  const ceiling = Math.floor(2 ** 32 / limit) * limit;
  do crypto.getRandomValues(cell);
  while (cell[0] >= ceiling);
  return cell[0] % limit;
}

/** A new array in random order (Fisher and Yates). */
function shuffled(items) {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const other = randomBelow(i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}

/** Is X the same as A or as B? `a` and `b` are indices of versions. */
class AbxSession {
  constructor(a, b, total) {
    this.kind = "abx";
    this.versions = [a, b];
    this.total = total;
    this.trials = [];
    this._next();
  }

  _next() {
    this.x = this.trials.length < this.total ? randomBelow(2) : null;
  }

  get done() {
    return this.x === null;
  }

  /** The version behind a label: 0 is A, 1 is B, 2 is X. */
  behind(label) {
    return this.versions[label === 2 ? this.x ?? 0 : label];
  }

  /** The listener says that X is A (0) or B (1). */
  answer(choice) {
    if (this.done) return;
    this.trials.push({ x: this.x ? "b" : "a", answer: choice ? "b" : "a" });
    this._next();
  }

  get correct() {
    return this.trials.filter((trial) => trial.x === trial.answer).length;
  }

  result(page) {
    const id = (index) => page.versions[index].id;
    return {
      a: id(this.versions[0]),
      b: id(this.versions[1]),
      trials: this.trials,
      correct: this.correct,
      total: this.trials.length,
      p_value: abxPValue(this.correct, this.trials.length),
    };
  }
}

/** Which one do you like best? Labels are shuffled afresh in every round; the first round asks for ratings. */
class PreferenceSession {
  constructor(versions, total, withRatings) {
    this.kind = "preference";
    this.versions = versions;
    this.total = total;
    this.withRatings = withRatings;
    this.rounds = [];
    this.ratings = [];
    this._next();
  }

  _next() {
    this.order = this.rounds.length < this.total ? shuffled(this.versions) : null;
  }

  get done() {
    return this.order === null;
  }

  /** True while the round asks for ratings before the choice. */
  get rating() {
    return this.withRatings && !this.done && this.rounds.length === 0 && this.ratings.length === 0;
  }

  behind(label) {
    return (this.order ?? this.versions)[label];
  }

  /** `scores[label][scale]` from 1 to 10. */
  rate(scores) {
    this.ratings = scores.map((score, label) => ({ version: this.behind(label), ...score }));
  }

  answer(label) {
    if (this.done) return;
    this.rounds.push({ order: this.order, chosen: this.order[label] });
    this._next();
  }

  wins(version) {
    return this.rounds.filter((round) => round.chosen === version).length;
  }

  result(page) {
    const id = (index) => page.versions[index].id;
    const most = Math.max(0, ...this.versions.map((version) => this.wins(version)));
    return {
      versions: this.versions.map(id),
      rounds: this.rounds.map((round) => ({ order: round.order.map(id), chosen: id(round.chosen) })),
      ratings: this.ratings.map((rating) => ({ ...rating, version: id(rating.version) })),
      wins: Object.fromEntries(this.versions.map((version) => [id(version), this.wins(version)])),
      total: this.rounds.length,
      p_value: preferencePValue(most, this.rounds.length, this.versions.length),
    };
  }
}

/** The file that `stemfix ratings` reads. */
function ratingsFile(page, listener, results) {
  return {
    format: "stemfix-ratings",
    version: page.version,
    created: new Date().toISOString(),
    listener,
    title: page.title,
    song: page.song,
    stemfix_version: page.stemfix_version,
    versions: page.versions.map(({ id, name, preset, job_key }) => ({ id, name, preset, job_key })),
    abx: results.filter((result) => "a" in result),
    preference: results.filter((result) => "rounds" in result),
  };
}
