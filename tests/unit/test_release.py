"""A release has one version, a change log, checksums, and nothing under a licence that nobody has allowed."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from scripts.release import checksums, node_bill, refused_licences, version

ROOT = Path(__file__).parents[2]


def test_everything_that_names_a_version_names_the_same():
    paths = [*ROOT.glob("services/*/pyproject.toml"), ROOT / "ops" / "pyproject.toml"]
    projects = [tomllib.loads(path.read_text()) for path in paths]
    described = json.loads((ROOT / "services" / "web" / "anb_web" / "openapi.json").read_text())
    package = json.loads((ROOT / "package.json").read_text())

    named = {*(it["project"]["version"] for it in projects), described["info"]["version"], package["version"]}

    assert named == {version()}


def test_the_change_log_tells_of_the_version():
    heads = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert heads[0] == version()


def component(**fields):
    return {"components": [{"name": "some", "version": "1", **fields}]}


@pytest.mark.parametrize(
    "licences",
    [
        [{"license": {"id": "MIT"}}],
        [{"expression": "MIT OR Apache-2.0"}],
        [{"license": {"name": "License :: OSI Approved :: BSD License"}}],
        [{"expression": "(MIT AND CC-BY-3.0)"}],
    ],
)
def test_a_licence_that_is_allowed_is_not_refused(licences):
    assert list(refused_licences(component(licenses=licences))) == []


@pytest.mark.parametrize(
    ("licences", "said"),
    [
        ([{"license": {"id": "AGPL-3.0-only"}}], "some 1 is under AGPL-3.0-only"),
        ([], "some 1 is under no licence that it names"),
    ],
)
def test_any_other_is(licences, said):
    assert list(refused_licences(component(licenses=licences))) == [said]


def test_node_stands_on_nothing_under_another_licence():
    assert list(refused_licences(node_bill())) == []


def test_checksums_are_what_sha256sum_reads(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"a")
    (tmp_path / "b.zip").write_bytes(b"b")

    (tmp_path / "SHA256SUMS").write_text(checksums(tmp_path))

    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
