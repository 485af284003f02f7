"""Composes the stacks for one profile: `npx cdk synth -c profile=academy` (the default) or `-c profile=production`.

The only file that reads CDK's context.
"""

import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stacks.constructs.artefacts import Sources
from stacks.constructs.user_data import UserDataError
from stacks.data import DataStack
from stacks.load import LoadStack
from stacks.media import MediaStack
from stacks.network import NetworkStack
from stacks.observability import ObservabilityStack
from stacks.profiles import Profile, ProfileError, choose
from stacks.rules.plugin import attach_rules
from stacks.settings import stack_settings
from stacks.web import WebStack
from stacks.worker import WorkerStack

ROOT = Path(__file__).parent
SOURCES = Sources(artefacts=ROOT / "build", user_data=ROOT / "userdata")


def compose(app: cdk.App, profile: Profile, sources: Sources) -> None:
    """Put the profile's stacks into the app, in the order in which a first deployment makes them."""
    names = profile.names
    network = NetworkStack(app, names.network, profile=profile, **stack_settings(profile))
    DataStack(app, names.data, profile=profile, network=network, **stack_settings(profile))
    media = MediaStack(app, names.media, profile=profile, network=network, **stack_settings(profile))
    web = WebStack(
        app, names.web, profile=profile, network=network, media=media, sources=sources, **stack_settings(profile)
    )
    worker = WorkerStack(
        app, names.worker, profile=profile, network=network, media=media, sources=sources, **stack_settings(profile)
    )
    ObservabilityStack(
        app,
        names.observability,
        profile=profile,
        media=media,
        web=web,
        worker=worker,
        **stack_settings(profile),
    )
    if profile.load:
        LoadStack(app, names.load, profile=profile, network=network, sources=sources, **stack_settings(profile))
    tags = {
        "project": "anb-rising-stars",
        "profile": profile.name,
        "owner": profile.owner,
        "cost-centre": "anb-rising-stars",
    }
    for key, value in tags.items():
        # CloudFront changes nothing about a VPC origin in use, not even its tags
        cdk.Tags.of(app).add(key, value, exclude_resource_types=["AWS::CloudFront::VpcOrigin"])


def chosen(app: cdk.App) -> Profile:
    """Return the profile that the context asks for; CDK's own keys all have a colon."""
    context: dict[str, Any] = app.node.get_all_context()
    overrides = {key: value for key, value in context.items() if ":" not in key}
    return choose(str(overrides.pop("profile", "academy")), overrides)


def main(app: cdk.App, sources: Sources) -> int:
    """Write the templates; say in one sentence why not."""
    try:
        profile = chosen(app)
        compose(app, profile, sources)
    except (ProfileError, UserDataError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    attach_rules(app, profile)
    return written(app)


def written(app: cdk.App) -> int:
    """Write the templates; CDK itself has printed what a rule finds, construct by construct."""
    try:
        app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(cdk.App(), SOURCES))
