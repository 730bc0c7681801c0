// Player: all tracks on one clock. A switch is a change of gains, so it falls on the same frame in every track.
//
// The song is played as pieces, each at most a chunk long. A piece has one source node per track, all started
// at the same frame of the audio context; only the tracks that are heard have a gain. Pieces are made a few
// seconds ahead, and at the end of a loop the next piece begins at its start. Times are whole frames throughout.

/** Seconds: how long a switch takes, how far ahead pieces are made, how soon the first one starts. */
const SWITCH_S = 0.008;
const AHEAD_S = 4;
const START_S = 0.03;
const SEAM_S = 0.003;

class Player {
  constructor(context, store) {
    this.context = context;
    this.store = store;
    this.rate = store.rate;
    this.frames = store.page.frames;
    this.playing = false;
    this.loop = null;
    this.onchange = () => {};
    this.onerror = () => {};
    this._paused = 0;
    this._pieces = [];
    this._run = 0;
    this._gains = new Map();
    this._targets = new Map();
    this._active = new Set();
    this._seam = context.createGain();
    this._out = context.createGain();
    this._seam.connect(this._out).connect(context.destination);
  }

  /** The context's frame that comes next. */
  now() {
    return Math.round(this.context.currentTime * this.rate);
  }

  /** The frame of the song that is heard at the context's frame `at`. */
  position(at = this.now()) {
    if (!this.playing) return this._paused;
    let found = null;
    for (const piece of this._pieces) if (!found || piece.at <= at) found = piece;
    if (!found) return this._paused;
    return Math.min(found.start + Math.max(0, Math.min(at - found.at, found.frames)), this.frames);
  }

  /** Start at the current position. */
  async play() {
    if (this.playing) return;
    if (this._paused >= this.frames) this._paused = 0;
    this.playing = true;
    const run = ++this._run;
    this._cursor = this._inLoop(this._paused);
    this._at = null;
    this.onchange();
    await this._fill(run);
    clearInterval(this._timer);
    if (this.context instanceof AudioContext) {
      this._timer = setInterval(() => this._fill(run), 250);
    }
  }

  /** Stop; the position stays. */
  pause() {
    if (!this.playing) return;
    this._paused = this.position();
    this._stop();
    this.onchange();
  }

  /** Go to a frame of the song, playing or not. */
  async seek(frame) {
    const wasPlaying = this.playing;
    if (wasPlaying) this._stop();
    this._paused = Math.max(0, Math.min(Math.round(frame), this.frames - 1));
    this.onchange();
    if (wasPlaying) await this.play();
  }

  /** Loop the frames [start, stop) or, with null, nothing. */
  async setLoop(loop) {
    this.loop = loop;
    if (this.playing) await this.seek(this._inLoop(this.position()));
    this.onchange();
  }

  /**
   * Hear the tracks in `gains` (factors), and keep those in `ready` running silently beside them.
   * Resolves when the change is scheduled; what was heard goes on until then.
   */
  async setMix(gains, ready) {
    const run = (this._mixRun = (this._mixRun || 0) + 1);
    this._targets = new Map(Object.entries(gains));
    this._active = new Set([...Object.keys(gains), ...ready]);
    if (this.playing) {
      try {
        await Promise.all(this._pieces.map((piece) => this._attach(piece)));
      } catch (error) {
        this.onerror(error);
      }
      if (run !== this._mixRun) return;
    }
    const at = this._soon(SWITCH_S);
    for (const track of new Set([...this._gains.keys(), ...this._active])) {
      this._ramp(this._gain(track).gain, this._targets.get(track) || 0, at);
    }
    for (const piece of this._pieces) this._release(piece, at / this.rate + 4 * SWITCH_S);
  }

  /** Take the same samples in another quality from here on. */
  async setQuality(quality) {
    this.store.quality = quality;
    if (this.playing) await this.seek(this.position());
  }

  /** Be ready for so many seconds from now: for rendering off-line, where no timer runs. */
  prepare(seconds) {
    return this._fill(this._run, seconds);
  }

  /** Make pieces until `seconds` from now. */
  async _fill(run, seconds = AHEAD_S) {
    if (this._filling === run) return;
    this._filling = run;
    try {
      while (run === this._run && (this._at === null || this._at < this.now() + seconds * this.rate)) {
        if (this._cursor >= this.frames && !this.loop) {
          if (this.now() >= this._at) this._end();
          break;
        }
        await this._next(run);
      }
      if (run === this._run) this._forget();
    } catch (error) {
      if (run === this._run) {
        this.pause();
        this.onerror(error);
      }
    } finally {
      if (this._filling === run) this._filling = null;
    }
  }

  async _next(run) {
    const start = this._cursor;
    const index = Math.floor(start / this.store.chunkFrames);
    const end = this.loop && start < this.loop[1] ? this.loop[1] : this.frames;
    const stop = Math.min((index + 1) * this.store.chunkFrames, end);
    const piece = { index, start, frames: stop - start, at: 0, sources: new Map(), first: this._at === null };
    const active = [...this._active];
    const buffers = await Promise.all(active.map((track) => this.store.chunk(track, index)));
    if (run !== this._run) return;
    if (this._at === null || this._at < this.now() + SEAM_S * this.rate) {
      // The first piece, or decoding was too slow: the clock of the song goes on from here.
      this._at = this._soon(START_S);
      piece.first = true;
      this._fade(this._at);
    }
    piece.at = this._at;
    const before = this._pieces[this._pieces.length - 1];
    piece.follows = !piece.first && before && before.start + before.frames === start;
    if (!piece.first && !piece.follows) this._cross(piece.at);
    piece.leads = stop < end;
    this._pieces.push(piece);
    this._at += piece.frames;
    this._cursor = this.loop && stop === this.loop[1] ? this.loop[0] : stop;
    active.forEach((track, i) => this._start(piece, track, buffers[i]));
    await this._attach(piece); // tracks that became active meanwhile
  }

  /** Start `track` in a piece: at its beginning, or now if that has passed. */
  _start(piece, track, buffer) {
    if (piece.sources.has(track)) return;
    const joint = this.store.jointFrames;
    const late = Math.max(0, this._soon(0.01) - piece.at);
    if (late >= piece.frames) return;
    const inChunk = piece.start - piece.index * this.store.chunkFrames;
    // Neighbours overlap by the joint on either side, faded in the samples themselves.
    const lead = late === 0 && piece.follows && inChunk === 0 ? joint : 0;
    const tail = piece.leads ? joint : 0;
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this._gain(track));
    const from = joint + inChunk + late - lead;
    source.start(
      (piece.at + late - lead) / this.rate,
      from / this.rate,
      (piece.frames - late + lead + tail) / this.rate,
    );
    piece.sources.set(track, source);
  }

  async _attach(piece) {
    const run = this._run;
    const missing = [...this._active].filter((track) => !piece.sources.has(track));
    if (!missing.length || piece.at + piece.frames <= this.now()) return;
    const buffers = await Promise.all(missing.map((track) => this.store.chunk(track, piece.index)));
    if (run === this._run) missing.forEach((track, i) => this._start(piece, track, buffers[i]));
  }

  /** Stop the tracks of a piece that are not active any more. */
  _release(piece, when) {
    for (const [track, source] of piece.sources) {
      if (this._active.has(track)) continue;
      source.stop(when);
      piece.sources.delete(track);
    }
  }

  _forget() {
    const now = this.now();
    this._pieces = this._pieces.filter((piece) => piece.at + piece.frames > now - this.rate);
    this.store.trim(this._active.size);
  }

  _stop() {
    this._run++;
    clearInterval(this._timer);
    this.playing = false;
    const at = this._soon(0);
    this._ramp(this._out.gain, 0, at);
    for (const piece of this._pieces) {
      for (const source of piece.sources.values()) source.stop(at / this.rate + SWITCH_S);
    }
    this._pieces = [];
    this._seam.gain.cancelScheduledValues(0);
    this._seam.gain.value = 1;
  }

  _end() {
    this._stop();
    this._paused = 0;
    this.onchange();
  }

  _inLoop(frame) {
    if (!this.loop) return frame;
    return frame >= this.loop[0] && frame < this.loop[1] ? frame : this.loop[0];
  }

  _gain(track) {
    if (!this._gains.has(track)) {
      const node = this.context.createGain();
      node.gain.value = this._targets.get(track) || 0;
      node.connect(this._seam);
      this._gains.set(track, node);
    }
    return this._gains.get(track);
  }

  /** A whole frame that is `seconds` or a little more away. */
  _soon(seconds) {
    return Math.ceil((this.context.currentTime + seconds) * this.rate - 1e-6);
  }

  _ramp(param, target, at) {
    param.cancelScheduledValues(at / this.rate);
    param.setValueAtTime(param.value, at / this.rate);
    param.linearRampToValueAtTime(target, at / this.rate + SWITCH_S);
  }

  _fade(at) {
    const gain = this._out.gain;
    gain.cancelScheduledValues(0);
    gain.setValueAtTime(0, at / this.rate);
    gain.linearRampToValueAtTime(1, at / this.rate + SEAM_S);
  }

  /** Where a loop jumps back: a dip of a few ms instead of a click. */
  _cross(at) {
    const gain = this._seam.gain;
    gain.setValueAtTime(1, at / this.rate - SEAM_S);
    gain.linearRampToValueAtTime(0, at / this.rate);
    gain.linearRampToValueAtTime(1, at / this.rate + SEAM_S);
  }
}
