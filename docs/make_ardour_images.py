"""Make the pictures in ardour.md: the real Ardour on a virtual screen, the demo song and the real engine.

    python docs/make_ardour_images.py

Needs what tests/ardour needs, the htdemucs weights, and openbox, which draws the windows' frames.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT / "tests" / "ardour"))

from app import Ardour, Home, virtual_screen, wait_for  # noqa: E402

from engine.paths import model_dir  # noqa: E402

WIDTH, HEIGHT = 1360, 780


def main() -> None:
    """Write docs/images/ardour-*.png."""
    with tempfile.TemporaryDirectory() as folder, virtual_screen(WIDTH, HEIGHT) as display:
        home = Home(Path(folder) / "home", Path(sys.executable), models=model_dir())
        song = Path(folder) / "Demo.wav"
        audio, rate = soundfile.read(ROOT / "examples" / "demo.flac", dtype="float32")
        soundfile.write(song, audio, rate, subtype="FLOAT")
        frames = subprocess.Popen(["openbox"], env=home.environment(DISPLAY=display))
        ardour = Ardour(home, home.new_session("Demo session", rate), display)
        try:
            take(ardour, home, song)
        finally:
            ardour.kill()
            home.stop_engine()
            frames.kill()
            frames.wait()


def take(ardour: Ardour, home: Home, song: Path) -> None:
    """The menu, the progress window and the result."""
    region = ardour.add_region(song, 44_100)
    ardour.select(region)
    ardour.access("Editor/zoom-to-session")
    time.sleep(1)
    ardour.click(140, 53)  # Edit, in the window that openbox puts in the middle
    keys(ardour, "Up", "Up", "Right", "Down", "Down")
    picture(ardour, "ardour-menu")
    keys(ardour, "Escape", "Escape", "Escape")
    ardour.select(region)

    since = len(home.log())
    ardour.act("stemfix_enhance")
    wait_for("some of the work", lambda: progress(home) > 0.02, 120)
    time.sleep(0.2)
    picture(ardour, "ardour-progress", "-crop", "900x330+230+300", "+repage")
    ardour.wait_for_log("Outcome: done", since, 300)
    ardour.access("Editor/fit-all-tracks")
    time.sleep(2)
    picture(ardour, "ardour-tracks")


def progress(home: Home) -> float:
    """How far the engine's only job is, 0 to 1."""
    found = [json.loads(path.read_text()) for path in home.data.glob("spool/*/status.json")]
    return max((status["progress"] for status in found if status["eta_s"]), default=0.0)


def keys(ardour: Ardour, *names: str) -> None:
    """Press keys, one after the other."""
    for name in names:
        ardour.mouse("key", name)
        time.sleep(0.3)


def picture(ardour: Ardour, name: str, *change: str) -> None:
    """A screenshot with few colours, which is small."""
    path = IMAGES / f"{name}.png"
    ardour.picture(path)
    subprocess.run(
        ["convert", path, *change, "-strip", "-dither", "None", "-colors", "96", f"PNG8:{path}"], check=True
    )


if __name__ == "__main__":
    main()
