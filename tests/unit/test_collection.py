"""The Postman collection shows all that the API's description has; newman holds what it shows (tests/e2e)."""

import json
import re
from pathlib import Path

import pytest

import anb_web

COLLECTION = Path(__file__).parents[2] / "collections" / "anb.postman_collection.json"
DESCRIPTION = json.loads(Path(anb_web.__file__).with_name("openapi.json").read_text(encoding="utf-8"))
METHODS = {"get", "post", "put", "patch", "delete"}
OPERATIONS = [
    (method.upper(), path) for path, item in DESCRIPTION["paths"].items() for method in item if method in METHODS
]


def requests(items):
    for item in items:
        if "request" in item:
            yield item
        yield from requests(item.get("item", ()))


ASKED = [*requests(json.loads(COLLECTION.read_text(encoding="utf-8"))["item"])]


def path_of(item):
    """The path as a server sees it, with something in place of each variable."""
    url = item["request"]["url"]["raw"].replace("{{root_url}}", "").replace("{{base_url}}", "/api")
    return re.sub(r"\{\{\w+\}\}", "x", url.partition("?")[0])


def asks(item, method, path):
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
    return item["request"]["method"] == method and re.fullmatch(pattern, path_of(item))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_each_operation_of_the_description_is_asked_and_answered_with_success(method, path):
    found = [item for item in ASKED if asks(item, method, path)]

    shown = {response["code"] for item in found for response in item["response"]}
    assert any(200 <= code < 300 for code in shown), f"{method} {path} is asked {len(found)} times: {shown}"


@pytest.mark.parametrize("item", ASKED, ids=lambda item: item["name"])
def test_each_request_holds_its_answer_to_something(item):
    tests = "\n".join(line for event in item["event"] for line in event["script"]["exec"])

    assert "pm.test(" in tests
