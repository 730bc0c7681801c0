// Numbers as text.

const MINUS = "\u2212";
const NONE = "\u2013";

/** `value` with so many decimals and a real minus; a dash where there is none. */
function number(value, digits, { sign = false, unit = "" } = {}) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  let text = Math.abs(value).toFixed(digits);
  const isZero = Number(text) === 0;
  if (value < 0 && !isZero) text = MINUS + text;
  else if (sign && !isZero) text = "+" + text;
  return unit ? `${text} ${unit}` : text;
}

/** Seconds as `m:ss.t`. */
function clock(seconds, digits = 1) {
  const tenths = Math.max(0, Math.floor(seconds * 10 ** digits + 1e-6)) / 10 ** digits;
  const minutes = Math.floor(tenths / 60);
  const rest = (tenths - minutes * 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${minutes}:${rest}`;
}

/** Seconds in words, for a screen reader. */
function clockWords(seconds) {
  const whole = Math.floor(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes ? `${minutes} minutes ${whole % 60} seconds` : `${whole} seconds`;
}

/** Such as `120 Hz` and `2.5 kHz`. */
function hertz(value) {
  return value >= 1000 ? `${Number((value / 1000).toPrecision(3))} kHz` : `${Math.round(value)} Hz`;
}

/** Such as `1 place` and `2 places`. */
function counted(count, thing) {
  return count === 1 ? `1 ${thing}` : `${count} ${thing}s`;
}

/** A probability as people read it. */
function probability(p) {
  if (p >= 0.9995) return "1";
  return p < 0.001 ? "below 0.001" : p.toPrecision(p < 0.1 ? 2 : 3);
}

/** A gain in dB as a factor. */
function factor(decibels) {
  return 10 ** (decibels / 20);
}
