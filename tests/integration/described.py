"""Holds an answer to openapi.json: its status, its content type, its headers and its body."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.test import TestResponse

import anb_web

PATH = Path(anb_web.__file__).with_name("openapi.json")
# Pages for people, the description itself, and what nginx alone asks
NOT_THE_API = {"auth_request", "docs", "site"}
_NAME = "urn:openapi"
# What any path may answer, documented or not, is described once for all of them
_ANYWHERE = {404: "NotFound", 405: "MethodNotAllowed", 500: "InternalError"}

Pointer = tuple[str, ...]


def template(rule: Rule) -> str:
    """Return the rule's path as the document writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


class Description:
    """What the document says about each answer."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._registry: Registry[Any] = Registry().with_resource(_NAME, DRAFT202012.create_resource(document))
        self._validator = cache(self._new_validator)

    @staticmethod
    @cache
    def ours() -> "Description":
        return Description(json.loads(PATH.read_text(encoding="utf-8")))

    def problems(self, response: TestResponse, url_map: Map) -> list[str]:
        """Return a sentence for each thing in the answer that the document does not say."""
        method, path = response.request.method, response.request.path
        if method in {"HEAD", "OPTIONS"}:
            return []
        if "//" in response.request.environ["PATH_INFO"]:
            where: Pointer | None = ("components", "responses", _ANYWHERE[404])
        else:
            where = self._where(method, path, response.status_code, url_map)
        if where is None:
            return []
        found = self.find(where)
        if found is None:
            return [f"{method} {path}: status {response.status_code} is not documented"]
        pointer, described = found
        return [
            f"{method} {path}: {response.status_code}: {problem}"
            for problem in (*self._of_headers(pointer, described, response), *self._of_body(pointer, response))
        ]

    def contents(self) -> Iterator[tuple[Pointer, Any]]:
        """Return pointer and node of everything that has a content type."""
        yield from self._contents((), self.document)

    def _contents(self, pointer: Pointer, node: object) -> Iterator[tuple[Pointer, Any]]:
        if not isinstance(node, dict):
            return
        for name, inside in node.items():
            if name == "content":
                yield from (((*pointer, name, kind), media) for kind, media in inside.items())
            else:
                yield from self._contents((*pointer, name), inside)

    def _where(self, method: str, path: str, status: int, url_map: Map) -> Pointer | None:
        """Return the pointer of the answer's description; None for what is not the API."""
        try:
            rule, _ = url_map.bind("localhost").match(path, method, return_rule=True)
        except (NotFound, MethodNotAllowed):
            return ("components", "responses", _ANYWHERE[status])
        if rule.endpoint.partition(".")[0] in NOT_THE_API:
            return None
        if template(rule) not in self.document["paths"]:  # a test's own view
            return ("components", "responses", _ANYWHERE[status])
        return ("paths", template(rule), method.lower(), "responses", str(status))

    def follow(self, pointer: Pointer) -> tuple[Pointer, Any]:
        """Return pointer and node, after its reference if it is one."""
        found = self.find(pointer)
        assert found, pointer
        return found

    def find(self, pointer: Pointer) -> tuple[Pointer, Any] | None:
        """As `follow`, but None when there is no such node."""
        node: Any = self.document
        for step in pointer:
            if step not in node:
                return None
            node = node[step]
        if "$ref" in node:
            return self.find(tuple(node["$ref"].removeprefix("#/").split("/")))
        return pointer, node

    def _of_headers(self, pointer: Pointer, described: dict[str, Any], response: TestResponse) -> Iterator[str]:
        for name in described.get("headers", {}):
            where, header = self.follow((*pointer, "headers", name))
            value = response.headers.get(name)
            if value is None:
                if header.get("required"):
                    yield f"there is no {name}"
                continue
            sent = int(value) if header["schema"]["type"] == "integer" else value
            yield from (f"{name}: {text}" for text in self.wrong((*where, "schema"), sent))

    def _of_body(self, pointer: Pointer, response: TestResponse) -> list[str]:
        if response.mimetype != "application/json":
            return [f"the content type is {response.mimetype}"]
        return self.wrong((*pointer, "content", "application/json", "schema"), response.json)

    def wrong(self, pointer: Pointer, value: object) -> list[str]:
        """Return what the schema at the pointer does not allow in the value."""
        return [error.message for error in self._validator(pointer).iter_errors(value)]

    def _new_validator(self, pointer: Pointer) -> Draft202012Validator:
        steps = "/".join(
            step.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D") for step in pointer
        )
        return Draft202012Validator(
            {"$ref": f"{_NAME}#/{steps}"},
            registry=self._registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
