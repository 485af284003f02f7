"""What the stack tests share: each profile synthesised once, with small stand-ins for what is deployed."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

# Read when CDK is imported: Node 20 is past its end of life, and the built-in validation starts a second engine,
# which costs 4 s a process (cfn-lint does its work here)
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
os.environ.setdefault("CDK_VALIDATION", "false")

import aws_cdk as cdk

from app import compose
from stacks.constructs.artefacts import Sources
from stacks.profiles import ACADEMY, PRODUCTION, Profile
from stacks.rules.assembly import Assembly
from stacks.rules.plugin import attach_rules

ROOT = Path(__file__).parents[2]
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-1111-2222-333344445555"


@dataclass(frozen=True)
class Synthesis:
    """What one synthesis wrote."""

    profile: Profile
    folder: Path

    @property
    def assembly(self) -> Assembly:
        """A fresh copy of the templates, free to be changed."""
        return Assembly.read_folder(self.folder, region=self.profile.region)

    @property
    def report(self) -> dict[str, Any]:
        """What the rules and AwsSolutions found."""
        report: dict[str, Any] = json.loads((self.folder / "validation-report.json").read_text(encoding="utf-8"))
        return report


@pytest.fixture(scope="session")
def make_sources(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Sources]:
    """Stand-ins for the artefacts of a release, and the real user data."""

    def make_sources(release: str = "") -> Sources:
        folder = tmp_path_factory.mktemp("artefacts")
        for name in ("web", "worker", "ffmpeg", "load"):
            with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
                file.writestr(zipfile.ZipInfo(name), f"{name}{release}")
        return Sources(artefacts=folder, user_data=ROOT / "userdata")

    return make_sources


@pytest.fixture(scope="session")
def sources(make_sources: Callable[..., Sources]) -> Sources:
    """What the tests share."""
    return make_sources()


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory, sources: Sources) -> Callable[..., tuple[cdk.App, Path]]:
    """A profile's app with the flags of cdk.json, and where it will write its templates."""
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]

    def composed(profile: Profile, sources: Sources = sources) -> tuple[cdk.App, Path]:
        folder = tmp_path_factory.mktemp(profile.name)
        app = cdk.App(
            outdir=str(folder), analytics_reporting=False, context=context | {"aws:cdk:enable-path-metadata": True}
        )
        compose(app, profile, sources)
        return app, folder

    return composed


@pytest.fixture(scope="session")
def synthesise(composed: Callable[[Profile], tuple[cdk.App, Path]]) -> Callable[[Profile], Synthesis]:
    """Synthesise a profile in this process, and have every rule look at it."""

    def synthesise(profile: Profile) -> Synthesis:
        app, folder = composed(profile)
        attach_rules(app, profile)
        app.synth()
        return Synthesis(profile, folder)

    return synthesise


@pytest.fixture(scope="session")
def write(composed: Callable[..., tuple[cdk.App, Path]]) -> Callable[..., Assembly]:
    """Write the templates of a profile in this process, and let no rule look at them."""

    def write(profile: Profile, sources: Sources | None = None) -> Assembly:
        app, folder = composed(profile, sources) if sources else composed(profile)
        app.synth()
        return Synthesis(profile, folder).assembly

    return write


@pytest.fixture(scope="session")
def academy(synthesise: Callable[[Profile], Synthesis]) -> Synthesis:
    """The lab account."""
    return synthesise(ACADEMY)


@pytest.fixture(scope="session")
def production(synthesise: Callable[[Profile], Synthesis]) -> Synthesis:
    """A production account with every option taken."""
    return synthesise(
        replace(
            PRODUCTION,
            certificate_arn=CERTIFICATE,
            domain_name="anb.example.org",
            cors_origins="https://app.example.org,https://test.example.org",
            firewall=True,
            alarm_mail="ops@example.org",
            budget_mail="ops@example.org",
        )
    )


@pytest.fixture(scope="session", params=["academy", "production"])
def synthesis(request: pytest.FixtureRequest) -> Synthesis:
    """Each profile in turn."""
    found: Synthesis = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def assembly(synthesis: Synthesis) -> Assembly:
    """The templates of each profile in turn."""
    return synthesis.assembly
