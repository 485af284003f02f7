"""Every client of AWS talks to the region's own hosts; nothing is sent to a global one and on from there."""

import ast
import re
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.credentials import Credentials

from anb import aws, environment
from anb.storage import S3Storage
from anb_worker.instance import autoscaling_client
from deploy.account import open_account

ROOT = Path(__file__).parents[2]
FOLDERS = ("deploy", "ops", "services")
# Where clients are made, and how many times: one more belongs into the tests below
MAKERS = {
    "deploy/account.py": 1,
    "services/anb/anb/aws.py": 3,
    "services/anb/anb/environment.py": 1,
    "services/worker/anb_worker/instance.py": 1,
}


# The one that has long been called by the global name, and another; for all tests: a session reads its tables once
@pytest.fixture(scope="module", params=["us-east-1", "us-west-2"])
def region(request):
    """Where the process runs, as the user data says it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, request.param)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        yield request.param


def host(url):
    return urlsplit(url).hostname


@pytest.mark.parametrize("client", [aws.s3_client, aws.serving_s3_client])
def test_links_and_forms_lead_to_the_buckets_regional_host(region, client):
    storage = S3Storage(client(), "media", Credentials("key", "secret"))

    form = storage.upload_form("k", content_type="video/mp4", size_bytes=1)

    assert [host(storage.link("k")), host(form.url)] == [f"media.s3.{region}.amazonaws.com"] * 2


@pytest.mark.parametrize(
    ("client", "service"),
    [
        (aws.s3_client, "s3"),
        (aws.serving_s3_client, "s3"),
        (aws.sending_sqs_client, "sqs"),
        (aws.polling_sqs_client, "sqs"),
        (autoscaling_client, "autoscaling"),
    ],
)
def test_the_services_ask_the_region(region, client, service):
    assert host(client().meta.endpoint_url) == f"{service}.{region}.amazonaws.com"


@pytest.mark.parametrize("service", ["ssm", "secretsmanager"])
def test_the_settings_are_looked_up_in_the_region(region, service):
    assert host(environment._client(service).meta.endpoint_url) == f"{service}.{region}.amazonaws.com"


@pytest.mark.parametrize("service", ["s3", "sts", "cloudformation"])  # the two that have global hosts, and any other
def test_a_deployment_asks_the_region(region, service):
    account = open_account(region, chosen=True)

    assert host(account.client(service).meta.endpoint_url) == f"{service}.{region}.amazonaws.com"


def test_no_client_is_made_anywhere_else():
    made = Counter(
        str(file.relative_to(ROOT))
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"client", "resource"}
        and re.search(r"\b(boto3|session)\b", ast.unparse(node.func.value))
    )

    assert made == MAKERS
