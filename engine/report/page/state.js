// State: what the listener chose. Views listen to it and never to each other.

class State {
  constructor() {
    this.version = 0;
    this.solo = new Set();
    this.mute = new Set();
    this.matched = true;
    this.quality = "small";
    this.picture = "spectrogram";
    this.marks = true;
    this.shortcuts = true;
    /** The blind session that is running, or null. */
    this.blind = null;
    this._listeners = [];
  }

  /** Call `listener` after every change, and once now. */
  listen(listener) {
    this._listeners.push(listener);
    listener(this);
  }

  /** Change some fields and tell everybody. */
  update(fields) {
    Object.assign(this, fields);
    for (const listener of this._listeners) listener(this);
  }

  /** Put `stem` into, or take it out of, the set `solo` or `mute`. */
  toggle(set, stem) {
    const changed = new Set(this[set]);
    if (!changed.delete(stem)) changed.add(stem);
    this.update({ [set]: changed });
  }
}
