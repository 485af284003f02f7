"""What every stack is given: where it goes and how it gets there."""

from typing import TypedDict

import aws_cdk as cdk

from stacks.profiles import Profile


class StackSettings(TypedDict):
    """The arguments that all stacks hand on to CDK."""

    env: cdk.Environment
    synthesizer: cdk.IStackSynthesizer


def stack_settings(profile: Profile) -> StackSettings:
    """Return settings for one stack: a synthesizer that is shared would list its assets for all of them.

    A region without an account needs no credentials at synthesis, and its zones are the account's first two.
    """
    return {"env": cdk.Environment(region=profile.region), "synthesizer": _synthesizer(profile)}


def _synthesizer(profile: Profile) -> cdk.IStackSynthesizer:
    if profile.asset_bucket is None:
        return cdk.DefaultStackSynthesizer()
    return cdk.CliCredentialsStackSynthesizer(file_assets_bucket_name=profile.asset_bucket)
