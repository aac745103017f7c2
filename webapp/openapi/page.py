"""The document as a page for people: everything in one answer, no script, nothing from elsewhere."""

from __future__ import annotations

import json
import re

from flask import current_app
from markupsafe import Markup, escape

from webapp.openapi.schemas import Json, resolved

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ info.title }} API {{ info.version }}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 60rem; padding: 1rem }
nav ul { columns: 18rem; padding-left: 1rem }
h2 { border-bottom: 1px solid; margin-top: 3rem; text-transform: capitalize }
details { border: 1px solid #8886; border-radius: 4px; margin: .5rem 0; padding: .25rem .75rem }
summary { cursor: pointer }
code, pre { font: .875rem/1.45 ui-monospace, monospace }
pre { background: #8882; overflow-x: auto; padding: .5rem }
table { border-collapse: collapse; width: 100% }
td, th { border-top: 1px solid #8886; padding: .25rem .5rem .25rem 0; text-align: left; vertical-align: top }
.method { display: inline-block; font-weight: bold; min-width: 4.5rem }
</style>
</head>
<body>
<h1>{{ info.title }} API {{ info.version }}</h1>
<p>{{ info.description | words }}</p>
<p>For programs: <a href="/api/v1/openapi.json">openapi.json</a> (OpenAPI {{ openapi }}).</p>
<nav aria-label="Sections"><ul>
{% for tag in tags %}<li><a href="#{{ tag.name }}">{{ tag.name.replace("_", " ") }}</a></li>
{% endfor %}</ul></nav>
{% for tag in tags %}
<section>
<h2 id="{{ tag.name }}">{{ tag.name.replace("_", " ") }}</h2>
<p>{{ tag.description | words }}</p>
{% for op in operations if op.tag == tag.name %}
<details id="{{ op.id }}">
<summary><code><span class="method">{{ op.method }}</span>{{ op.path }}</code> {{ op.summary }}</summary>
<p>{{ op.description | words }}</p>
{% if op.parameters %}
<table>
<tr><th scope="col">parameter</th><th scope="col">in</th><th scope="col">what</th></tr>
{% for part in op.parameters %}<tr>
<td><code>{{ part.name }}</code>{{ " (required)" if part.required }}</td><td>{{ part.in }}</td>
<td>{{ part.description | words }} <code>{{ part.schema | tojson }}</code></td>
</tr>
{% endfor %}</table>
{% endif %}
{% if op.body %}<h3>Body</h3>
<table>
<tr><th scope="col">field</th><th scope="col">what</th></tr>
{% for name, schema in op.fields.items() %}<tr>
<td><code>{{ name }}</code>{{ " (required)" if name in op.required }}</td>
<td>{{ schema.description | words }} <code>{{ schema | bare | tojson }}</code></td>
</tr>
{% endfor %}</table>
<pre>{{ op.body }}</pre>{% endif %}
<h3>Answers</h3>
{% for answer in op.answers %}
<p><strong>{{ answer.status }}</strong> {{ answer.words }}</p>
{% if answer.example %}<pre>{{ answer.example }}</pre>{% endif %}
{% endfor %}
</details>
{% endfor %}
</section>
{% endfor %}
</body>
</html>
"""


def page(made: Json) -> str:
    """The page of a whole OpenAPI document, as `document` makes it. Needs an application's context."""
    schemas = made["components"].get("schemas", {})
    operations = [
        _operation(path, method, op, schemas) for path, item in made["paths"].items() for method, op in item.items()
    ]
    with_filters = current_app.jinja_env.overlay()
    with_filters.filters |= {"words": _words, "bare": _bare}
    return with_filters.from_string(PAGE).render(**made, operations=operations)


def _words(text: str | None) -> Markup:
    """What stands between backticks, as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text or ""))))  # noqa: S704 - escaped just there


def _bare(schema: Json) -> Json:
    """What is left to say of a field beside its description and its example."""
    return {name: value for name, value in schema.items() if name not in {"description", "example"}}


def _operation(path: str, method: str, op: Json, schemas: Json) -> Json:
    body = op.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = resolved(body.get("schema", {}), schemas)
    return {
        "id": op["operationId"],
        "method": method.upper(),
        "path": path,
        "tag": op["tags"][0],
        "summary": op["summary"],
        "description": op.get("description", ""),
        "parameters": op["parameters"],
        "body": _shown(body),
        "fields": schema.get("properties", {}),
        "required": schema.get("required", []),
        "answers": [_answer(status, answer) for status, answer in sorted(op["responses"].items())],
    }


def _answer(status: str, answer: Json) -> Json:
    """What a success looks like is shown whole; of a failure its codes are what matters, and they are its words."""
    content: Json = next(iter(answer.get("content", {}).values()), {}) if int(status) < 400 else {}
    return {"status": status, "words": answer["description"], "example": _shown(content)}


def _shown(content: Json) -> str:
    if "example" not in content:
        return ""
    example = content["example"]
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
