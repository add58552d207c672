"""The schema of the wire: FastAPI's OpenAPI document, with the events of the streams, which FastAPI cannot see."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from server.events import StreamEvent
from server.uploads import UploadEvent

COMPONENTS = "#/components/schemas/"


class DescribedApp(FastAPI):
    """An app whose OpenAPI document holds the types of all events."""

    def openapi(self) -> dict[str, Any]:
        """The document of `/openapi.json`, which FastAPI keeps once it is made."""
        if self.openapi_schema is None:
            super().openapi()["components"]["schemas"].update(_event_schemas())
        return super().openapi()


def event_reference(union: str) -> dict[str, Any]:
    """What the content of a stream is made of, one by one: OpenAPI 3.2's word for it, as FastAPI writes it as well."""
    return {"itemSchema": {"$ref": COMPONENTS + union}}


def _event_schemas() -> dict[str, Any]:
    _, schemas = models_json_schema(
        [(StreamEvent, "serialization"), (UploadEvent, "serialization")], ref_template=COMPONENTS + "{model}"
    )
    return dict(schemas["$defs"])
