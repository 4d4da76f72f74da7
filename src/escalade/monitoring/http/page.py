"""The page /docs: the operations of the API, from its own OpenAPI document, without any network."""

from __future__ import annotations

import json
from typing import Any

import jinja2

_METHODS = ("get", "post", "delete")


def operations_page(document: dict[str, Any]) -> str:
    """Render a page of all operations: parameters, bodies, answers, examples.

    Parameters
    ----------
    document
        OpenAPI 3.1.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("escalade.monitoring.http", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                entry = _entry(document, path, method, item[method])
                groups.setdefault(item[method]["tags"][0], []).append(entry)
    return environment.get_template("page.html.j2").render(document=document, groups=groups)


def _entry(
    document: dict[str, Any], path: str, method: str, operation: dict[str, Any]
) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(document, body.get("schema", {}))
    examples = schema.get("examples", [])
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "about": operation.get("description", ""),
        "parameters": [
            (it["name"], it["in"], it.get("required", False), it.get("description", ""))
            for it in operation.get("parameters", [])
        ],
        "fields": [
            (name, name in schema.get("required", []), field.get("description", ""))
            for name, field in schema.get("properties", {}).items()
        ],
        "example": json.dumps(examples[-1]) if examples else "",
        "answers": [(code, it["description"]) for code, it in operation["responses"].items()],
    }


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow the reference to a model, also where null is possible."""
    options = [schema, *schema.get("anyOf", [])]
    name = next((it["$ref"].rpartition("/")[2] for it in options if "$ref" in it), None)
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found
