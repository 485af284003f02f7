"""Everything that can be known to go wrong before anything is created."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from deploy import buckets, cdk, cloudformation, versions
from deploy.account import Account, check_rights, is_denied, open_account
from deploy.errors import CannotDeploy, Missing, WrongSettings
from stacks import cloudfront
from stacks.names import Names
from stacks.network import ZONES
from stacks.profiles import Profile, ProfileError, choose
from stacks.rules.assembly import Assembly
from stacks.rules.changes import refusals

CDK_TOOLKIT = "CDKToolkit"  # what `cdk bootstrap` calls its stack


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to deploy, and what."""

    profile: Profile
    account: Account
    number: str

    @property
    def names(self) -> Names:
        """What the stacks are called, and what is found by its name."""
        return self.profile.names

    @property
    def asset_bucket(self) -> str | None:
        """The bucket that bootstrap makes; none where the account has been bootstrapped by CDK itself."""
        name = self.profile.asset_bucket
        return name and name.replace("${AWS::AccountId}", self.number).replace("${AWS::Region}", self.account.region)


def profile_of(settings: Mapping[str, str]) -> Profile:
    """Return the profile that the settings choose; raise WrongSettings for what is not allowed."""
    overrides = {key: value for key, value in settings.items() if key != "profile"}
    try:
        return choose(settings.get("profile", "academy"), overrides)
    except ProfileError as error:
        raise WrongSettings(str(error)) from None


def find_target(settings: Mapping[str, str]) -> Target:
    """Return where to deploy, when settings, credentials and rights allow it; raise CannotDeploy otherwise."""
    profile = profile_of(settings)
    account = open_account(profile.region, chosen="region" in settings)
    number = account.identity()
    check_rights(account)
    return Target(profile=profile, account=account, number=number)


def check(target: Target) -> list[str]:
    """Raise CannotDeploy for what the account lacks or has too much of; return what is worth knowing."""
    if target.profile.borrowed_instance_profile:
        check_borrowed(target.account, target.profile.borrowed_instance_profile)
    check_bootstrapped(target)
    check_media_bucket(target)
    if target.profile.cloudfront:
        check_cloudfront(target.account)
    return cloudformation.check_deployable(cloudformation.existing(target.account, target.names.stacks))


def check_borrowed(account: Account, name: str) -> None:
    """Raise Missing where there is nothing to borrow."""
    try:
        account.client("iam").get_instance_profile(InstanceProfileName=name)
    except ClientError as error:
        if is_denied(error):
            return  # a right to use it is not a right to look at it
        raise Missing(
            f"This account has no {name}, so it is no Learner Lab: deploy with profile=production."
        ) from None


def check_bootstrapped(target: Target) -> None:
    """Raise CannotDeploy when there is no place to upload to, or somebody else has it."""
    bucket = target.asset_bucket
    if bucket is None:
        if cloudformation.find(target.account, CDK_TOOLKIT) is None:
            raise Missing("The account is not prepared for CDK: run make bootstrap with the same settings.")
    elif not buckets.is_ours(target.account, bucket, number=target.number, setting="assetBucket"):
        raise Missing(f"There is no bucket {bucket} to upload to: run make bootstrap with the same settings.")


def check_media_bucket(target: Target) -> None:
    """Raise CannotDeploy when the bucket to keep videos in was named and is not ours."""
    bucket = target.profile.media_bucket
    if bucket and not buckets.is_ours(target.account, bucket, number=target.number, setting="mediaBucket"):
        raise Missing(f"There is no bucket {bucket}: create it, or leave mediaBucket out to get a new one.")


def check_cloudfront(account: Account) -> None:
    """Raise CannotDeploy when CloudFront comes from other addresses than we know, or not into a zone of ours."""
    ec2, region, named = account.client("ec2"), account.region, cloudfront.PREFIX_LIST
    lists = ec2.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [named]}])
    found = [it["PrefixListId"] for it in lists["PrefixLists"]]
    known = cloudfront.PREFIX_LISTS[region]
    if found != [known]:
        raise CannotDeploy(
            f"{named} is {' and '.join(found) or 'unknown'} in {region}, and {known} in stacks/cloudfront.py: "
            "put right what is written there."
        )
    zones = ec2.describe_availability_zones(Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}])
    for zone in sorted(zones["AvailabilityZones"], key=lambda zone: str(zone["ZoneName"]))[:ZONES]:
        if zone["ZoneId"] in cloudfront.UNREACHED_ZONES:
            raise CannotDeploy(
                f"CloudFront does not reach into {zone['ZoneName']}, which is {zone['ZoneId']} in this account, and "
                f"the network takes the first {ZONES} zones: deploy to another region, such as region=us-east-2."
            )


def run_all_checks(settings: Mapping[str, str], say: Callable[[str], None]) -> Target:
    """Return where to deploy when nothing that we can know is in the way; raise CannotDeploy otherwise.

    The synthesis comes last, since it takes longest: it finds missing artefacts and broken rules.
    """
    profile_of(settings)
    node = cdk.check_tools()
    for warning in versions.warnings(versions.table(), datetime.now(UTC).date(), node=node):
        say(warning)
    target = find_target(settings)
    for note in check(target):
        say(note)
    cdk.synthesise(settings, region=target.account.region)
    check_changes(target.names, deployed(target), Assembly.read_folder(cdk.ASSEMBLY, region=target.account.region))
    return target


def deployed(target: Target) -> Assembly:
    """Return the templates of our stacks that exist; one that could not even be made is about to be made anew."""
    account, names = target.account, target.names.stacks
    stacks = [stack for stack in cloudformation.existing(account, names) if not stack.status.startswith("ROLLBACK")]
    return Assembly(account.region, {stack.name: cloudformation.template_of(account, stack.name) for stack in stacks})


def check_changes(names: Names, before: Assembly, after: Assembly) -> None:
    """Raise CannotDeploy, with the way, for what a living system cannot become in place."""
    for found in refusals(before, after):
        what = f"{found.stack} cannot become that while it lives: {found.sentence}"
        if found.stack == names.data:
            raise CannotDeploy(
                f"{what}. Deploy with the settings that it was made with, or run make destroy-database first; "
                "a snapshot, restored by databaseSnapshot=NAME, keeps the data."
            )
        raise CannotDeploy(f"{what}. Deploy with the settings that it was made with, or run make destroy first.")
