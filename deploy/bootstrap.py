"""Prepares an account for its first deployment."""

from pathlib import Path

from botocore.exceptions import ClientError, WaiterError

from deploy import buckets, cdk, cloudformation
from deploy.errors import CannotDeploy
from deploy.preflight import Target

TEMPLATE = Path(__file__).resolve().parent.parent / "bootstrap" / "academy.yaml"


def bootstrap(target: Target) -> str:
    """Make the place that the CDK command line uploads to; return what there is now, in a sentence."""
    if target.asset_bucket is None:
        return _by_cdk(target)
    return _bucket(target, target.asset_bucket)


def _by_cdk(target: Target) -> str:
    cdk.check_tools()
    place = f"aws://{target.number}/{target.account.region}"
    if cdk.run("bootstrap", place, region=target.account.region) != 0:
        raise CannotDeploy(f"cdk bootstrap {place} has failed: it makes roles, so ask an administrator to run it.")
    return f"{place} is prepared for CDK."


def _bucket(target: Target, name: str) -> str:
    account, stack_name = target.account, target.names.bootstrap
    ours = buckets.is_ours(account, name, number=target.number, setting="assetBucket")
    stack = cloudformation.find(account, stack_name)
    if ours and stack is None:
        return f"The bucket {name} is there already and is used as it is."
    if stack and stack.status in {"ROLLBACK_COMPLETE", "DELETE_FAILED"}:
        cloudformation.delete(account, [stack_name])
        stack = None
    _apply(target, name, is_new=stack is None)
    return f"The bucket {name} is there: private, encrypted, over TLS alone."


def _apply(target: Target, name: str, *, is_new: bool) -> None:
    client, stack_name = target.account.client("cloudformation"), target.names.bootstrap
    change, done = ("create_stack", "stack_create_complete") if is_new else ("update_stack", "stack_update_complete")
    try:
        getattr(client, change)(
            StackName=stack_name,
            TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
            Parameters=[{"ParameterKey": "BucketName", "ParameterValue": name}],
        )
        client.get_waiter(done).wait(StackName=stack_name, WaiterConfig={"Delay": 2, "MaxAttempts": 150})
    except ClientError as error:
        if "No updates are to be performed" not in error.response["Error"]["Message"]:
            raise
    except WaiterError:
        raise CannotDeploy(
            f"{stack_name} failed: aws cloudformation describe-stack-events --stack-name {stack_name} says why."
        ) from None
