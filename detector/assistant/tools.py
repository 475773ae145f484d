"""Derives tools from an OpenAPI document: each reading route of the API is a tool.

In: the document. Out: tools with a name, a description and a JSON schema of their arguments, and
how a call of one is sent. No route that changes, streams or exports is among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

PREFIX = "/api/v1/"
# Reading routes that answer in another form than one JSON object, or about the visitor.
_LEFT_OUT = frozenset(("session", "export", "events", "grafana", "sql", "openapi.json"))
# The one route that takes a body and changes nothing.
_EXPLAIN = "explain"


@dataclass(frozen=True, slots=True)
class Tool:
    """A question that an assistant may ask the API.
    `path` has its parameters in braces; a tool with `body` sends what is not in the path as JSON,
    others as the query.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    path: str
    body: bool = False

    def address(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The address of a call, and the arguments that are not in it. Raises KeyError with the
        name of one that is missing.
        """
        rest = dict(arguments)
        parts = [
            quote(str(rest.pop(part[1:-1])), safe="") if part.startswith("{") else part
            for part in self.path.split("/")
        ]
        return "/".join(parts), rest


def tools_of(document: Mapping[str, Any]) -> dict[str, Tool]:
    """The tools by name."""
    tools = (
        _tool(path, operation, document, body=method == "post")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if _is_question(path, method)
    )
    return {tool.name: tool for tool in tools}


def _is_question(path: str, method: str) -> bool:
    if not path.startswith(PREFIX):
        return False
    first = path.removeprefix(PREFIX).partition("/")[0]
    return path == PREFIX + _EXPLAIN or (method == "get" and first not in _LEFT_OUT)


def _tool(
    path: str, operation: Mapping[str, Any], document: Mapping[str, Any], *, body: bool
) -> Tool:
    words = [part for part in path.removeprefix(PREFIX).split("/") if not part.startswith("{")]
    if path.endswith("}"):
        words.append("show")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, schema, needed in _arguments(operation, document):
        properties[name] = schema
        if needed:
            required.append(name)
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    text = f"{operation['summary']}. {operation.get('description', '')}".strip()
    return Tool("_".join(words), text, schema, path, body)


def _arguments(
    operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Name, schema and need of each parameter in path, query and body."""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] in {"path", "query"}:
            schema = dict(_resolved(parameter["schema"], document))
            if "description" in parameter:
                schema["description"] = parameter["description"]
            yield parameter["name"], schema, parameter.get("required", False)
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        model = _resolved(content["application/json"]["schema"], document)
        for name, schema in model["properties"].items():
            yield name, dict(schema), name in model.get("required", ())


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    resolved: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return resolved
