"""Write web/schema.json, from which the page's build makes its types, from the server's own: `make docs`."""

import json
from pathlib import Path
from typing import Any, NoReturn

from server.app import build_app
from server.schema import COMPONENTS

WIRE_SCHEMA = Path(__file__).parents[2] / "web" / "schema.json"
COMMENT = "Everything that goes over the wire, made from the server's types by `make docs`; `npm run types` reads it."


def wire_schema() -> str:
    """Everything in the OpenAPI document that has a name, as JSON Schema."""
    schemas = build_app(_opening).openapi()["components"]["schemas"]
    document = {"$comment": COMMENT, "type": "object", "$defs": _plain(dict(sorted(schemas.items())))}
    return json.dumps(document, indent=2, ensure_ascii=False).replace(COMPONENTS, "#/$defs/") + "\n"


def _plain(schema: Any) -> Any:
    """The same in words that json-schema-to-typescript makes no further types of.

    It would make one of each title, which every field has, and of each reference with a description of its own.
    """
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)}
    if {"$ref", "description"} <= plain.keys():
        plain["allOf"] = [{"$ref": plain.pop("$ref")}]
    return plain


def _opening() -> NoReturn:
    raise AssertionError("the app is described only, and not started")


if __name__ == "__main__":
    WIRE_SCHEMA.write_text(wire_schema(), encoding="utf-8")
