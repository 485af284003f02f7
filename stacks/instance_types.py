"""What an EC2 instance type has, as far as it decides what fits on it; synthesis asks nobody.

https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
"""

import re

_MULTIPLE = re.compile(r"(\d*)xlarge")
_VCPUS = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2}  # of the types that burst
_SINGLE = {"t2.nano", "t2.micro", "t2.small"}
_BURSTABLE = ("t2", "t3", "t3a")
_BURSTABLE_MIB = {"nano": 512, "micro": 1024, "small": 2048, "medium": 4096}
_LEAST_MIB_PER_VCPU = 2048  # of the compute-optimised types; all others have more


def vcpus(type_: str) -> int | None:
    """Return how many vCPUs the type has, or None for a size that tells nothing of it."""
    family, _, size = type_.partition(".")
    if multiple := _MULTIPLE.fullmatch(size):
        return 4 * int(multiple[1] or 1)
    if type_ in _SINGLE or (size == "medium" and family not in _BURSTABLE):
        return 1
    return _VCPUS.get(size)


def least_memory_mib(type_: str) -> int:
    """Return how much memory the type has at least."""
    family, _, size = type_.partition(".")
    if family in _BURSTABLE and size in _BURSTABLE_MIB:
        return _BURSTABLE_MIB[size]
    return _LEAST_MIB_PER_VCPU * (vcpus(type_) or 1)
