"""The scenario format as a JSON Schema (2020-12), made from the models, for editors that complete and check.

The models are the truth: whatever the schema refuses, they refuse. They know more (what refers to what, what
fits together), which a schema cannot say.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from harness.scenario.models import Scenario
from harness.scenario.sequences import library
from harness.scenario.sequences.expand import SequenceUse

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Generator(GenerateJsonSchema):
    """As people write it: what may be left out is never null, and defaults are as they would be written."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        return made | {"additionalProperties": False} if "patternProperties" in made else made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        default = made.get("default")
        if default is None or (made.get("type") == "string" and not isinstance(default, str)):
            made.pop("default", None)  # a bare number where the file has `0s`
        return made


def json_schema() -> dict[str, Any]:
    """The schema of a scenario file as written, before templates are filled in."""
    made = Scenario.model_json_schema(by_alias=True, mode="validation", schema_generator=Generator)
    use = SequenceUse.model_json_schema(by_alias=True, mode="validation", schema_generator=Generator)
    use["properties"]["sequence"]["enum"] = list(library.names())
    made["$defs"]["SequenceUse"] = use
    faults = made["properties"]["faults"]
    faults["items"] = {
        "if": {"required": ["sequence"]},
        "then": {"$ref": "#/$defs/SequenceUse"},
        "else": faults["items"],
    }
    return {"$schema": DIALECT, "title": "A scenario of the mail failover harness"} | {
        key: value for key, value in made.items() if key != "title"
    }
