// AudioStore: decodes a track's chunks on demand and forgets them again, so that memory stays small.

/** Chunks overlap their neighbours by so much and are faded there: a lossy codec differs at a joint. */
const JOINT_S = 0.005;
const KEPT_PER_TRACK = 4;

class AudioStore {
  constructor(page) {
    this.page = page;
    this.rate = page.sample_rate;
    this.chunkFrames = page.chunk_s * this.rate;
    this.jointFrames = Math.round(JOINT_S * this.rate);
    this.quality = "small";
    this.decoded = new Map();
    this.arriving = new Map();
    window.stemfixAudio = (track, index, text) => {
      const waiting = this.arriving.get(`${track}/${index}`);
      if (waiting) waiting(text);
    };
  }

  get chunks() {
    return Math.ceil(this.page.frames / this.chunkFrames);
  }

  /** Promise of a chunk: frames [index * chunkFrames - jointFrames, (index + 1) * chunkFrames + jointFrames). */
  chunk(track, index) {
    const key = `${this.quality}/${track}/${index}`;
    let promise = this.decoded.get(key);
    if (promise) {
      this.decoded.delete(key); // and to the end: the map's order is the order of use
    } else {
      promise = this._decode(this.quality, track, index);
      promise.catch(() => this.decoded.delete(key));
    }
    this.decoded.set(key, promise);
    return promise;
  }

  /** Let go of what was used longest ago; `tracks` is how many play at once. */
  trim(tracks) {
    const limit = Math.max(tracks, 1) * KEPT_PER_TRACK;
    for (const key of this.decoded.keys()) {
      if (this.decoded.size <= limit) break;
      this.decoded.delete(key);
    }
  }

  async _decode(quality, track, index) {
    const text = quality === "full" ? await this._load(track, index) : this._embedded(track, index);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    // An offline context decodes before any click has allowed sound, and at the rate of the page's clock.
    const context = new OfflineAudioContext(1, 1, this.rate);
    return this._cut(await context.decodeAudioData(bytes.buffer), index);
  }

  _embedded(track, index) {
    return document.getElementById(`audio-${track}-${index}`).textContent;
  }

  /** A page opened from the disk may not fetch, but it may load a script; the audio comes in one. */
  _load(track, index) {
    const key = `${track}/${index}`;
    const promise = new Promise((resolve, reject) => {
      const script = el("script", { src: `${this.page.full_quality}/${track}/${index}.js` });
      this.arriving.set(key, resolve);
      script.addEventListener("error", () => reject(new Error("The full-quality audio is not beside this page.")));
      script.addEventListener("load", () => script.remove());
      document.head.append(script);
    });
    const done = () => this.arriving.delete(key);
    promise.then(done, done);
    return promise;
  }

  /** Cut the margins off, down to the joints, and fade those in and out: two neighbours sum to 1. */
  _cut(decoded, index) {
    const joint = this.jointFrames;
    const start = Math.round(this.page.margin_s * this.rate) - joint;
    const frames = this.chunkFrames + 2 * joint;
    const cut = new AudioBuffer({ numberOfChannels: decoded.numberOfChannels, length: frames, sampleRate: this.rate });
    for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
      const samples = cut.getChannelData(channel);
      samples.set(decoded.getChannelData(channel).subarray(start, start + frames));
      for (let i = 0; i < 2 * joint; i++) {
        const share = (i + 0.5) / (2 * joint);
        if (index > 0) samples[i] *= share;
        if (index < this.chunks - 1) samples[frames - 1 - i] *= share;
      }
    }
    return cut;
  }
}
