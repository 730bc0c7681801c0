"""StubSettings: what the scripts in Ardour have to know, in the file `stemfix_settings.lua` beside them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from daw_bridge.ardour.lua_state import LuaStateError, assignments, quoted

FILE_NAME = "stemfix_settings.lua"
_HEAD = b"-- Written by `stemfix daw install ardour`; run it again to change something.\nreturn {\n"


@dataclass(frozen=True)
class StubSettings:
    """Paths are absolute. `preset` and `background` are the user's; None takes what was chosen before."""

    python: str
    data_dir: str
    version: str
    preset: str | None = None
    background: bool | None = None
    presets: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def over(self, before: StubSettings | None) -> StubSettings:
        """These settings with the choices that were not made taken from `before`."""
        preset = self.preset or (before.preset if before else None)
        background = self.background
        if background is None and before is not None:
            background = before.background
        return replace(self, preset=preset, background=background)

    def to_lua(self) -> bytes:
        """The content of the file."""
        lines = [
            b"python = " + quoted(self.python),
            b"data_dir = " + quoted(self.data_dir),
            b"preset = " + quoted(self.preset or "balanced"),
            b"background = " + (b"true" if self.background else b"false"),
            b"version = " + quoted(self.version),
            b"presets = { " + b", ".join(quoted(name) for name in self.presets) + b" }",
            b"environment = {"
            + b"".join(
                b" [" + quoted(name) + b"] = " + quoted(value) + b","
                for name, value in self.environment.items()
            )
            + b" }",
        ]
        return _HEAD + b"".join(b"  " + line + b",\n" for line in lines) + b"}\n"

    @classmethod
    def from_lua(cls, data: bytes) -> StubSettings | None:
        """The single values in a file of `to_lua`, also after an edit by hand; None if it is another file."""
        values: dict[str, object] = {}
        for line in data.splitlines():
            try:
                found = assignments(line.rstrip().rstrip(b","))
            except LuaStateError:
                continue  # a comment, a brace, a list
            values.update({_text(one.path[0]): one.value for one in found if len(one.path) == 1})
        if not all(isinstance(values.get(name), bytes) for name in ("python", "data_dir", "version")):
            return None
        preset, background = values.get("preset"), values.get("background")
        return cls(
            python=_text(values["python"]),
            data_dir=_text(values["data_dir"]),
            version=_text(values["version"]),
            preset=_text(preset) if isinstance(preset, bytes) else None,
            background=background if isinstance(background, bool) else None,
        )


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
