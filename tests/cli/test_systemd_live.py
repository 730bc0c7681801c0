"""The unit under a real systemd: a user manager in a name space of its own, which nothing outside notices."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANAGER = next(
    (path for path in ("/lib/systemd/systemd", "/usr/lib/systemd/systemd") if Path(path).exists()), ""
)

#: Runs where /run is empty, so that the user manager finds no other one.
SCRIPT = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mkdir -m 700 -p /run/user/test || exit 77
export XDG_RUNTIME_DIR=/run/user/test
{manager} --user >/dev/null 2>&1 &
manager=$!
for _ in $(seq 100); do systemctl --user list-units >/dev/null 2>&1 && break; sleep 0.1; done
systemctl --user list-units >/dev/null 2>&1 || exit 77
{python} {steps}
status=$?
kill $manager
wait $manager
exit $status
"""

#: What the service runs: a part that says that it is there and what it was given.
PROGRAM = """
import json, os, signal, sys, time
with open(sys.argv[1], "a") as file:
    file.write(json.dumps([os.getpid(), sys.argv[2:], os.environ.get("STEMFIX_DATA_DIR")]) + "\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(0.1)
"""

STEPS = """
import json, os, signal, sys, time
from pathlib import Path
from stemfix.service.systemd import SystemdService, UNIT
from stemfix.service.tool import run_tool

program, seen, units = (Path(argument) for argument in sys.argv[1:])

def runs():
    return [json.loads(line) for line in seen.read_text().splitlines()] if seen.exists() else []

def until(true):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)

tricky = "a %h $HOME \\\\ \\"q\\" é"
service = SystemdService(
    [sys.executable, str(program), str(seen), tricky], {"STEMFIX_DATA_DIR": "/d %h $HOME"}, units
)
outcome = service.install()
assert not outcome.to_type, outcome
until(runs)
((pid, arguments, variable),) = runs()
assert arguments == [tricky], arguments
assert variable == "/d %h $HOME", variable
until(lambda: service.state().running)
assert service.state().starts_at_logon

service.install()
os.kill(pid, 0)
assert len(runs()) == 1

# A kill -9 is a failure, after which it comes back (sooner than in earnest).
dropin = units / (UNIT + ".d") / "quick.conf"
dropin.parent.mkdir()
dropin.write_text("[Service]\\nRestartSec=0.1\\n")
run_tool(["systemctl", "--user", "daemon-reload"])
os.kill(pid, signal.SIGKILL)
until(lambda: len(runs()) == 2)

service.uninstall()
pid = runs()[-1][0]
until(lambda: not Path(f"/proc/{pid}").exists())
state = service.state()
assert not state.installed and not state.running and not service.file.path.exists()
assert not (units / "default.target.wants" / UNIT).is_symlink()

# What a logoff does: the manager stops, and the service with it.
service.install()
until(lambda: len(runs()) == 3)
"""


@pytest.mark.skipif(not MANAGER or not shutil.which("unshare"), reason="needs systemd and unshare")
def test_installed_restarted_removed_and_stopped_at_logoff(tmp_path: Path) -> None:
    for name, text in (("program.py", PROGRAM), ("steps.py", STEPS)):
        (tmp_path / name).write_text(text)
    seen, units = tmp_path / "seen", tmp_path / "config" / "systemd" / "user"
    arguments = f"{tmp_path}/steps.py {tmp_path}/program.py {seen} {units}"
    script = SCRIPT.format(manager=MANAGER, python=sys.executable, steps=arguments)
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "bash", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no user manager can be started here")
    assert done.returncode == 0, done.stdout + done.stderr
    left = json.loads(seen.read_text().splitlines()[-1])[0]
    assert not Path(f"/proc/{left}").exists()
