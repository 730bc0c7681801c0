"""Write the JSON Schemas in docs/spool/ from the models of the spool's files.

python docs/make_schemas.py            rewrites them
python docs/make_schemas.py --check    changes nothing; exit status 1 if one is out of date
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from engine.spool.models import EngineHeartbeat, SpoolJob, SpoolResult, SpoolStatus

FOLDER = Path(__file__).with_name("spool")
#: Each file with its model; a client writes the first, so what has a default may be left out there.
MODELS: dict[str, type[BaseModel]] = {
    "job": SpoolJob,
    "status": SpoolStatus,
    "result": SpoolResult,
    "engine": EngineHeartbeat,
}
_FIELD = re.compile(r"((?: {4}#: ?.*\n)+) {4}(\w+):")


class DocumentedSchema(GenerateJsonSchema):
    """Describes every field by the comment above it."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        """See `GenerateJsonSchema`."""
        result = super().model_schema(schema)
        comments = field_comments(schema["cls"])
        for name, field in result.get("properties", {}).items():
            field.pop("title", None)
            if name in comments:
                # What is None in Python is null in JSON.
                field.setdefault("description", re.sub(r"\bNone\b", "null", comments[name]))
        return result


def field_comments(model: type[BaseModel]) -> dict[str, str]:
    """The `#:` comments of a model's fields, its bases' included."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            for comment, name in _FIELD.findall(inspect.getsource(base)):
                found[name] = " ".join(
                    line.strip().removeprefix("#:").strip() for line in comment.splitlines()
                )
    return found


def schema_text(name: str, model: type[BaseModel]) -> str:
    """One schema as it stands in its file."""
    mode: Any = "validation" if name == "job" else "serialization"
    schema = model.model_json_schema(schema_generator=DocumentedSchema, mode=mode)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"stemfix spool: {name}.json"}
    schema.pop("title", None)
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Rewrite the schemas, or compare."""
    old = []
    for name, model in MODELS.items():
        path = FOLDER / f"{name}.schema.json"
        text = schema_text(name, model)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            old.append(path.name)
            if "--check" not in sys.argv:
                FOLDER.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if old and "--check" in sys.argv:
        print(f"Out of date: {', '.join(old)}. Run python docs/make_schemas.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
