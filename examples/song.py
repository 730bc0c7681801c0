"""The score of the demo song: nine bars in F major, four of verse, four of lift and an end.

Words and music are of this project. Every part is a list of events that `make_demo.py` plays.
"""

from __future__ import annotations

#: (beat, length in beats, MIDI pitch, velocity)
Event = tuple[float, float, int, int]

TEMPO_BPM = 108
BARS = 9

#: One chord per bar (the eighth has two): bass note and the voicing above it.
CHORDS: list[tuple[int, tuple[int, ...]]] = [
    (38, (57, 60, 65, 69)),  # Dm7   verse
    (34, (58, 62, 65, 69)),  # Bbmaj7
    (41, (57, 60, 65, 67)),  # Fadd9
    (36, (55, 60, 64, 67)),  # C
    (34, (58, 62, 65, 70)),  # Bb    lift
    (36, (60, 64, 67, 72)),  # C
    (38, (57, 62, 65, 69)),  # Dm
    (34, (58, 62, 65, 70)),  # Bb, then C
    (41, (57, 60, 65, 72)),  # F     end
]
TURN = (36, (55, 60, 64, 70))  # C7, the second half of bar 8

#: The lines of the song, with (beat, length in beats, pitch) of each syllable.
LINES: list[tuple[str, list[tuple[float, float, int]]]] = [
    (
        "morning light on the window pane",
        [
            (0, 0.5, 57),
            (0.5, 0.5, 57),
            (1, 1, 60),
            (2, 0.5, 57),
            (2.5, 0.5, 55),
            (3, 0.5, 53),
            (3.5, 0.5, 55),
            (4, 2, 53),
        ],
    ),
    (
        "hear the song in the falling rain",
        [
            (8, 0.5, 57),
            (8.5, 0.5, 57),
            (9, 1, 60),
            (10, 0.5, 57),
            (10.5, 0.5, 55),
            (11, 0.5, 57),
            (11.5, 0.5, 57),
            (12, 2, 55),
        ],
    ),
    (
        "take it apart and let it shine",
        [
            (16, 0.5, 62),
            (16.5, 0.5, 62),
            (17, 0.5, 60),
            (17.5, 1, 65),
            (18.5, 0.5, 65),
            (19, 0.5, 64),
            (19.5, 0.5, 62),
            (20, 2.5, 64),
        ],
    ),
    (
        "put it together line by line",
        [
            (24, 0.5, 62),
            (24.5, 0.5, 62),
            (25, 0.5, 60),
            (25.5, 1, 65),
            (26.5, 1.25, 62),
            (28, 1.75, 62),
            (30, 1, 64),
            (31.5, 2.75, 65),
        ],
    ),
]


def chord_tone_below(beat: float, pitch: int) -> int:
    """The nearest note of the chord at `beat` that lies a third or more below `pitch`, for a second voice."""
    bar = min(int((beat + 0.5) // 4), BARS - 1)
    chord = TURN[1] if bar == 7 and beat >= 29.5 else CHORDS[bar][1]
    tones = {tone % 12 for tone in chord}
    return next(below for below in range(pitch - 3, pitch - 13, -1) if below % 12 in tones)


def drums() -> list[Event]:
    """Side stick and soft hats in the verse, snare and crash in the lift, a fill before each turn."""
    kick, stick, snare, closed, open_hat, crash, tambourine = 36, 37, 38, 42, 46, 49, 54
    hits: list[Event] = []
    for bar in range(8):
        at, lift, fill = 4.0 * bar, bar >= 4, bar in (3, 7)
        kicks = (0, 1.5, 2, 3.5) if bar % 2 else (0, 1.5, 2.5)
        hits += [(at + k, 0.2, kick, 108 if lift else 98) for k in kicks if not (fill and k > 2.9)]
        hits += [
            (at + k, 0.2, snare if lift else stick, 108 if lift else 84)
            for k in (1, 3)
            if not (fill and k == 3)
        ]
        for eighth in range(6 if fill else 8):
            last = eighth == 7 and lift
            loud = (88 if lift else 72) - 18 * (eighth % 2)
            hits.append((at + eighth / 2, 0.2, open_hat if last else closed, loud))
        if lift:
            hits += [(at + k, 0.2, tambourine, 60) for k in (1, 3)]
            hits.append((at + 1.75, 0.1, snare, 38))
        if fill:
            hits += [(at + 3 + n / 4, 0.2, drum, 84 + 8 * n) for n, drum in enumerate((snare, 48, 45, 43))]
    hits += [(16, 2, crash, 100), (32, 4, 57, 104), (32, 0.4, kick, 112), (32, 0.4, snare, 92)]
    return hits


def bass() -> list[Event]:
    """Long roots in the verse, driving eighths in the lift."""
    line: list[Event] = []
    for bar, (root, _) in enumerate(CHORDS[:4]):
        at = 4.0 * bar
        following = CHORDS[bar + 1][0]
        step = following - 2 if following > root else following + 2
        line += [
            (at, 1.4, root, 98),
            (at + 1.5, 0.45, root, 84),
            (at + 2, 0.9, root + 7, 90),
            (at + 3, 0.45, root, 88),
        ]
        line.append((at + 3.5, 0.45, step, 86))
    for bar in range(4, 8):
        for eighth in range(8):
            root = TURN[0] if bar == 7 and eighth >= 4 else CHORDS[bar][0]
            up = 12 if eighth in (3, 6) else 0
            line.append((4.0 * bar + eighth / 2, 0.42, root + up, 102 - 12 * (eighth % 2)))
    line.append((32, 3.2, CHORDS[8][0] - 12, 104))
    return line


def keys() -> list[Event]:
    """Electric piano: chords with an off-beat answer."""
    notes: list[Event] = []
    for bar, (_, chord) in enumerate(CHORDS):
        at = 4.0 * bar
        if bar == 8:
            notes += [(at + 0.02 * n, 3.0, pitch, 82) for n, pitch in enumerate(chord)]
            continue
        second = TURN[1] if bar == 7 else chord
        for pitch in chord:
            notes.append((at, 1.9, pitch, 74))
        for pitch in second:
            notes += [(at + 2 if bar == 7 else at + 2.5, 1.4, pitch, 66)]
    return notes


def guitar() -> list[Event]:
    """Picked eighths in the verse, strummed chords in the lift."""
    notes: list[Event] = []
    for bar in range(4):
        chord = CHORDS[bar][1]
        for eighth, voice in enumerate((0, 2, 1, 3, 2, 1, 3, 2)):
            notes.append((4.0 * bar + eighth / 2, 0.7, chord[voice], 72 + 10 * (eighth in (0, 4))))
    for bar in range(4, 8):
        for number, k in enumerate((0, 1, 1.5, 2.5, 3, 3.5)):
            chord = TURN[1] if bar == 7 and k >= 2 else CHORDS[bar][1]
            order = chord if number % 2 == 0 else chord[::-1]
            notes += [(4.0 * bar + k + 0.018 * n, 0.45, p, 78 - 3 * n) for n, p in enumerate(order)]
    notes += [(32 + 0.035 * n, 3.2, p, 76) for n, p in enumerate((53, *CHORDS[8][1]))]
    return notes


def strings() -> list[Event]:
    """Held chords that open the lift."""
    notes: list[Event] = []
    for bar in range(4, 9):
        halves = (
            [(0.0, 3.9, CHORDS[bar][1])] if bar != 7 else [(0.0, 1.95, CHORDS[7][1]), (2.0, 1.95, TURN[1])]
        )
        for k, length, chord in halves:
            notes += [(4.0 * bar + k, 2.8 if bar == 8 else length, p + 12, 64) for p in chord[1:]]
    return notes


def bells() -> list[Event]:
    """Small answers in the pauses of the voice."""
    answers = [
        (6.5, 77),
        (7, 74),
        (7.5, 72),
        (14.5, 72),
        (15, 76),
        (15.5, 79),
        (22.5, 76),
        (23, 79),
        (23.5, 84),
    ]
    return [(at, 0.9, pitch, 78) for at, pitch in answers] + [
        (33, 1.0, 77, 70),
        (33.5, 1.0, 81, 68),
        (34, 1.6, 84, 66),
    ]
