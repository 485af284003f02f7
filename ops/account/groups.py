"""The groups of a deployment: what they want, and which instances they have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deploy import cloudformation
from deploy.account import Account
from ops.dependencies import CommandFailed
from stacks.names import GROUP_LOGICAL_ID, Names

WEB, WORKERS = "web", "workers"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many instances a group has at least, at most, and should have now."""

    at_least: int
    at_most: int
    wanted: int

    @property
    def is_none(self) -> bool:
        """Whether it may have none at all."""
        return self.at_most == 0


def group_name(account: Account, stack: str) -> str:
    """Return the group of a fleet's stack; raise CommandFailed where that is not deployed."""
    if cloudformation.find(account, stack) is None:
        raise CommandFailed(f"there is no stack {stack} in {account.region}: make deploy makes it")
    found = account.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=GROUP_LOGICAL_ID
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


class Fleets:
    """The two groups of one environment."""

    def __init__(self, account: Account, names: Names) -> None:
        self._account = account
        self._stacks = {WEB: names.web, WORKERS: names.worker}

    @cached_property
    def group_names(self) -> Mapping[str, str]:
        """Return each fleet's group; raise CommandFailed where nothing is deployed."""
        return {fleet: group_name(self._account, stack) for fleet, stack in self._stacks.items()}

    def described(self) -> dict[str, Any]:
        """Return what the group of each fleet is like at the moment, as EC2 Auto Scaling describes it."""
        answer = self._account.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=list(self.group_names.values())
        )
        found = {group["AutoScalingGroupName"]: group for group in answer["AutoScalingGroups"]}
        return {fleet: found[name] for fleet, name in self.group_names.items()}

    def deployed_size(self, fleet: str) -> Size:
        """Return the size that the deployed template gives the fleet, whatever it has been changed to."""
        template = cloudformation.template_of(self._account, self._stacks[fleet])
        properties = template["Resources"][GROUP_LOGICAL_ID]["Properties"]
        at_least = int(properties["MinSize"])
        wanted = int(properties.get("DesiredCapacity", at_least))
        return Size(at_least=at_least, at_most=int(properties["MaxSize"]), wanted=wanted)

    def in_service(self) -> Iterator[str]:
        """Yield the instances that serve: web servers before workers."""
        for group in self.described().values():
            yield from (it["InstanceId"] for it in group["Instances"] if it["LifecycleState"] == "InService")
