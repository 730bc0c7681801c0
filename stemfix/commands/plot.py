"""`stemfix plot`: spectrograms as PNG, one recording or several on one scale."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command("plot")
@click.argument("files", nargs=-1, required=True, type=_PATH, metavar="FILE...")
@click.option("--out", type=_PATH, metavar="PNG", help="The picture; beside the first file by default.")
@click.option("--each", is_flag=True, help="One picture per file, instead of all in one.")
def command(files: tuple[Path, ...], out: Path | None, each: bool) -> None:
    """Draw waveform and spectrogram of each FILE.

    Several files come below each other on the same scales. Where a file has the length and the rate of the
    first, a last panel shows what it has more (red) or less (blue). A job's folder stands for its original
    and its mix, before and after, and the picture goes into it. Needs the extra: pip install "stemfix[plot]".
    """
    from engine.errors import OptionError
    from engine.report.plot import plot_files, plotted_files
    from stemfix.console import say
    from stemfix.text import plain

    paths = [path for file in files for path in plotted_files(file)]
    if out is None and paths[0] != files[0]:
        out = files[0]  # into the job's folder, not beside the original
    if each and out is not None and not out.is_dir() and len(paths) > 1:
        raise OptionError(f"{out} is one file, and there are {len(paths)} pictures.", "Name a folder.")
    groups = [[path] for path in paths] if each else [paths]
    for group in groups:
        say(plain(f"Wrote {plot_files(group, out)}"))
