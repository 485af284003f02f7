"""Prepares an account for its first deployment."""

from pathlib import Path

from botocore.exceptions import ClientError, WaiterError

from deploy import buckets, cdk, cloudformation
from deploy.errors import CannotDeploy
from deploy.preflight import Target

TEMPLATE = Path(__file__).resolve().parent.parent / "bootstrap" / "academy.yaml"
STACK = "AnbBootstrap"


def bootstrap(where: Target) -> str:
    """Make the place that the CDK command line uploads to; return what there is now, in a sentence."""
    if where.asset_bucket is None:
        return _by_cdk(where)
    return _bucket(where, where.asset_bucket)


def _by_cdk(where: Target) -> str:
    cdk.check_tools()
    place = f"aws://{where.number}/{where.account.region}"
    if cdk.run("bootstrap", place, region=where.account.region) != 0:
        raise CannotDeploy(f"cdk bootstrap {place} has failed: it makes roles, so ask an administrator to run it.")
    return f"{place} is prepared for CDK."


def _bucket(where: Target, name: str) -> str:
    account = where.account
    ours = buckets.is_ours(account, name, number=where.number, setting="assetBucket")
    stack = cloudformation.find(account, STACK)
    if ours and stack is None:
        return f"The bucket {name} is there already and is used as it is."
    if stack and stack.status in {"ROLLBACK_COMPLETE", "DELETE_FAILED"}:
        cloudformation.delete(account, [STACK])
        stack = None
    _apply(where, name, is_new=stack is None)
    return f"The bucket {name} is there: private, encrypted, over TLS alone."


def _apply(where: Target, name: str, *, is_new: bool) -> None:
    client = where.account.client("cloudformation")
    change, done = ("create_stack", "stack_create_complete") if is_new else ("update_stack", "stack_update_complete")
    try:
        getattr(client, change)(
            StackName=STACK,
            TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
            Parameters=[{"ParameterKey": "BucketName", "ParameterValue": name}],
        )
        client.get_waiter(done).wait(StackName=STACK, WaiterConfig={"Delay": 2, "MaxAttempts": 150})
    except ClientError as error:
        if "No updates are to be performed" not in error.response["Error"]["Message"]:
            raise
    except WaiterError:
        raise CannotDeploy(
            f"{STACK} failed: aws cloudformation describe-stack-events --stack-name {STACK} says why."
        ) from None
