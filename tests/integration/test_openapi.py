"""The description of the API: valid, complete, true and readable without internet.

That every answer of the other tests is as described is checked wherever they call the API: see `DescribedClient`.
"""

import json
import re

import pytest
from openapi_spec_validator import validate

from tests.integration.described import NOT_THE_API, Description, template

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def document():
    return Description.ours().document


@pytest.fixture
def operations(document):
    """Return each operation by method and path."""
    return {
        (method.upper(), path): item[method]
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    }


class TestDocument:
    def test_it_is_valid_openapi(self, document):
        validate(document)

    def test_it_describes_every_route_and_no_other(self, app, operations):
        served = {
            (method, template(rule))
            for rule in app.url_map.iter_rules()
            if rule.endpoint.partition(".")[0] not in NOT_THE_API
            for method in rule.methods - {"HEAD", "OPTIONS"}
        }

        assert set(operations) == served

    def test_every_operation_is_explained_and_every_error_has_an_example(self, operations):
        description = Description.ours()
        for (method, path), operation in operations.items():
            assert operation["summary"], path
            assert operation["description"], path
            for status in operation["responses"]:
                _, answer = description.follow(("paths", path, method.lower(), "responses", status))
                content = answer["content"]["application/json"]
                assert "example" in content or "examples" in content, (method, path, status)

    def test_every_example_is_as_its_schema_says(self):
        description = Description.ours()
        examples = [
            (pointer, example)
            for pointer, content in description.contents()
            for example in (
                *([content["example"]] if "example" in content else []),
                *(example["value"] for example in content.get("examples", {}).values()),
            )
        ]

        assert examples
        for pointer, example in examples:
            assert description.wrong((*pointer, "schema"), example) == [], pointer

    def test_what_needs_a_token_says_so(self, operations):
        protected = {path for path, operation in operations.items() if operation.get("security")}

        assert protected == {key for key, operation in operations.items() if "401" in operation["responses"]} - {
            ("POST", "/api/auth/login")
        }


class TestDescribedClient:
    @pytest.mark.parametrize(
        ("body", "status"), [({"status": "ok"}, 203), ({"status": "fine"}, 200), ({"status": "ok", "more": 1}, 200)]
    )
    def test_an_answer_that_is_not_described_fails_its_test(self, app, client, body, status):
        app.view_functions["health.alive"] = lambda: (body, status)

        with pytest.raises(AssertionError, match="GET /healthz: "):
            client.get("/healthz")


class TestPages:
    def test_the_description_is_served_as_it_is_written(self, client, document):
        response = client.get("/openapi.json")

        assert response.mimetype == "application/json"
        assert json.loads(response.data) == document

    def test_everything_on_the_page_comes_from_this_server(self, client):
        page = client.get("/docs")
        files = re.findall(r'(?:src|href)="([^"]+)"', page.text)

        assert page.mimetype == "text/html"
        assert len(files) == 5
        assert {client.get(file).status_code for file in files} == {200}

    def test_the_browser_is_told_to_load_nothing_else(self, client):
        policy = client.get("/docs").headers["Content-Security-Policy"]

        sources = {word for directive in policy.split(";") for word in directive.split()[1:]}
        assert sources == {"'none'", "'self'", "data:"}

    def test_its_licence_goes_with_it(self, client):
        assert "Apache License" in client.get("/docs/LICENSE").text

    @pytest.mark.parametrize("path", ["/docs/nothing.js", "/docs/../app.py", "/docs/%2e%2e/app.py"])
    def test_nothing_else_is_served(self, client, path):
        assert client.get(path).status_code == 404
