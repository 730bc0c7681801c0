"""Gapless: the sound itself, rendered by the page's own player, compared with the samples on disk."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

RATE = 44_100
#: A switch is done so many frames after it was asked for: 16 ms, and a render quantum of 128.
SWITCHED = round(0.016 * RATE) + 128

#: Renders `seconds` off-line; `events` are [time, what], where what is a version, or solo and a stem.
RENDER = """
async ([seconds, from, loop, events, options]) => {
  const { page, store, Player, mixFor } = window.comparison;
  const context = new OfflineAudioContext(2, Math.round(seconds * page.sample_rate), page.sample_rate);
  store.quality = options.quality;
  const player = new Player(context, store);
  const state = { version: 0, solo: new Set(), mute: new Set(), matched: options.matched };
  const apply = () => { const mix = mixFor(state, page); return player.setMix(mix.gains, mix.ready); };
  await apply();
  if (loop) player.loop = loop;
  player._paused = from;
  await player.play();
  await player.prepare(seconds + 1);
  const positions = [];
  for (const [time, change] of events) {
    context.suspend(time).then(async () => {
      const before = player.position() - player.now();
      Object.assign(state, change);
      if (change.solo) state.solo = new Set(change.solo);
      await apply();
      positions.push([before, player.position() - player.now()]);
      context.resume();
    });
  }
  const rendered = await context.startRendering();
  const text = [0, 1].map((channel) => {
    const bytes = new Uint8Array(rendered.getChannelData(channel).buffer);
    let binary = "";
    for (let i = 0; i < bytes.length; i += 32768)
      binary += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(binary);
  });
  return { text, positions };
}
"""
#: The player begins 30 ms after the clock, rounded up to a whole frame.
BEGIN = int(np.ceil(0.03 * RATE))


def render(
    page: Any,
    seconds: float,
    events: list[Any],
    start: int = 0,
    loop: list[int] | None = None,
    quality: str = "full",
    matched: bool = False,
) -> tuple[np.ndarray, list[list[int]]]:
    options = {"quality": quality, "matched": matched}
    found = page.evaluate(RENDER, [seconds, start, loop, events, options])
    audio = np.stack([np.frombuffer(base64.b64decode(text), "<f4") for text in found["text"]])
    return audio, found["positions"]


def mismatch(
    rendered: np.ndarray, track: np.ndarray, song: int, at: int, frames: int, gain: float = 1.0
) -> float:
    """The largest difference between what was rendered from frame `at` on and the song from `song` on."""
    return float(np.abs(rendered[:, at : at + frames] - gain * track[:, song : song + frames]).max())


def test_a_switch_falls_on_the_same_frame_in_every_version(visit: Callable[..., Any], built: Any) -> None:
    page = visit()
    # Across the joint of two chunks at 5 s, where each version's pieces overlap.
    events = [[2.0, {"version": 1}], [4.5, {"version": 2}], [6.0, {"version": 0}]]
    audio, positions = render(page, 8.0, events)
    spans = [(0.1, 2.0, "v0"), (2.0, 4.5, "v1"), (4.5, 6.0, "v2"), (6.0, 7.9, "v0")]
    for first, last, track in spans:
        at = round(first * RATE) + SWITCHED
        frames = round(last * RATE) - at - 128
        exact = mismatch(audio, built.tracks[track], at - BEGIN, at, frames)
        assert exact < 1e-5, (track, exact)
        for shift in (-1, 1):
            assert mismatch(audio, built.tracks[track], at - BEGIN + shift, at, frames) > 0.05
    assert positions == [[-BEGIN, -BEGIN]] * 3


def test_nothing_is_missing_or_doubled_during_a_switch(visit: Callable[..., Any], built: Any) -> None:
    audio, _ = render(visit(), 3.0, [[2.0, {"version": 1}]])
    at = round(2.0 * RATE) - 256
    a, b = (built.tracks[track][:, at - BEGIN :][:, : SWITCHED + 600] for track in ("v0", "v1"))
    heard = audio[:, at : at + a.shape[1]]
    # What is heard is everywhere a mixture of the two at this very frame, with shares that sum to 1.
    share = np.sum((heard - a) * (b - a), axis=0) / np.sum((b - a) ** 2, axis=0)
    assert np.abs(heard - a - share * (b - a)).max() < 1e-5
    assert share.min() > -1e-3
    assert share.max() < 1 + 1e-3
    assert np.all(np.diff(share) > -1e-3)


def test_the_start_is_where_it_was_asked_for(visit: Callable[..., Any], built: Any) -> None:
    for start in (123_457, 5 * RATE - 10, 5 * RATE, 10 * RATE + 1):
        audio, _ = render(visit(), 1.0, [], start=start)
        at = BEGIN + 400
        assert mismatch(audio, built.tracks["v0"], start + 400, at, RATE // 2) < 1e-5


def test_a_loop_repeats_to_the_frame(visit: Callable[..., Any], built: Any) -> None:
    # Over the joint at 5 s, by an odd number of frames.
    first, last = 5 * RATE - 11_111, 5 * RATE + 7_770
    audio, _ = render(visit(), 3.0, [[1.5, {"version": 1}]], start=first, loop=[first, last])
    seam = round(0.003 * RATE) + 1
    period = last - first
    for turn in range(6):
        at = BEGIN + turn * period
        if at + period > 3.0 * RATE:
            break
        track = "v0" if at + period < 1.5 * RATE else "v1" if at > 1.5 * RATE + SWITCHED else None
        if track is not None:
            inside = mismatch(audio, built.tracks[track], first + seam, at + seam, period - 2 * seam)
            assert inside < 1e-5, turn


def test_solo_is_the_stem_alone_and_stems_keep_their_balance(visit: Callable[..., Any], built: Any) -> None:
    page = visit()
    events = [
        [0.5, {"version": 1, "solo": ["drums"]}],
        [1.5, {"solo": ["drums", "bass"]}],
        [2.5, {"version": 2, "solo": ["vocals"]}],
    ]
    audio, _ = render(page, 3.5, events)
    gain = 10 ** (-1.5 / 20)
    tracks = built.tracks
    parts = [
        (0.5, tracks["v1-drums"]),
        (1.5, tracks["v1-drums"] + tracks["v1-bass"]),
        (2.5, tracks["v2-vocals"]),
    ]
    for begin, expected in parts:
        at = round(begin * RATE) + SWITCHED
        frames = round(0.9 * RATE)
        assert mismatch(audio, expected, at - BEGIN, at, frames, gain) < 1e-5


@pytest.mark.parametrize("quality", ["full", "small"])
def test_versions_are_equally_loud(visit: Callable[..., Any], quality: str) -> None:
    from engine.audio.buffer import AudioBuffer
    from engine.audio.loudness import measure_loudness

    page = visit()
    loudness = []
    for version in range(3):
        audio, _ = render(page, 8.0, [[0.1, {"version": version}]], matched=True, quality=quality)
        loudness.append(measure_loudness(AudioBuffer.of(audio[:, RATE:], RATE)).lufs)
    assert max(loudness) - min(loudness) < 0.1


def test_the_small_audio_lies_on_the_same_frames(visit: Callable[..., Any], built: Any) -> None:
    audio, _ = render(visit(), 8.0, [], quality="small")
    track = built.tracks["v0"][0]
    # The joint of two chunks lies within.
    heard = audio[0, 4 * RATE : 6 * RATE].astype(float)
    scores = [float(np.dot(heard, track[4 * RATE - BEGIN + lag :][: len(heard)])) for lag in range(-50, 51)]
    assert int(np.argmax(scores)) == 50
