"""What CloudFormation would refuse, or lose, on the way from the templates that are deployed to the next ones.

Which properties can only be given at creation is told by CloudFormation's own resource schemas, as cfn-lint brings
them along.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from stacks.rules.assembly import Assembly, Finding, Resource, Template

DATABASE, VPC_ORIGIN = "AWS::RDS::DBInstance", "AWS::CloudFront::VpcOrigin"
# Whoever replaces one of these loses what is in it, or signs everybody out
STATEFUL = (DATABASE, "AWS::S3::Bucket", "AWS::SecretsManager::Secret", "AWS::SQS::Queue", "AWS::Logs::LogGroup")
# Schemas also know properties that replace under conditions; of those, these do whenever they change:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
_ALSO_CREATE_ONLY = {DATABASE: (("DBSnapshotIdentifier",), ("Engine",))}

Path = tuple[str, ...]


def refusals(before: Assembly, after: Assembly) -> Iterator[Finding]:
    """Yield what stands in the way of deploying `after` where `before` is deployed."""
    replaced = _replaced(before, after)
    yield from _exports(before, after, replaced)
    for old in before.resources():
        new = _same(after, old)
        if old.stack not in after.templates:
            continue  # a deployment leaves stacks alone that it does not name
        if new is None:
            if old.type in STATEFUL:
                yield _finding("Removed", old, f"{old.type} would be deleted with what is in it")
            continue
        if (old.stack, old.logical_id) in replaced:
            yield from _replacement(old, new)
        # https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_UpdateVpcOrigin.html
        if old.type == VPC_ORIGIN and _is_changed(old, new, replaced):
            yield _finding("Attached", old, "CloudFront changes no VPC origin while a distribution uses it")
        if old.type == DATABASE and _gib(new) < _gib(old):
            yield _finding("Shrunk", old, f"a database's disk cannot shrink from {_gib(old)} to {_gib(new)} GiB")


def _replacement(old: Resource, new: Resource) -> Iterator[Finding]:
    if old.type in STATEFUL:
        yield _finding("Replaced", old, f"{old.type} would be replaced by an empty one")
    for name in names_of(old.type):
        if isinstance(old.properties.get(name), str) and old.properties.get(name) == new.properties.get(name):
            yield _finding("Named", old, f"CloudFormation replaces nothing that has a name of its own ({name})")


def _exports(before: Assembly, after: Assembly, replaced: set[tuple[str, str]]) -> Iterator[Finding]:
    for stack, template in before.templates.items():
        exported = _exported(after.templates.get(stack, {}))
        for name, value in _exported(template).items():
            importers = sorted(other for other, its in before.templates.items() if name in _imports(its))
            if not importers or stack not in after.templates:
                continue
            if name not in exported:
                change = "would vanish"
            elif exported[name] != value or _mentions(value, stack, replaced):
                change = "would change"
            else:
                continue
            yield Finding("Exports", stack, name, f"{name} {change}, which {', '.join(importers)} imports")


def _replaced(before: Assembly, after: Assembly) -> set[tuple[str, str]]:
    """Return the resources that get a successor: they change at creation only, or refer to one that does."""
    replaced: set[tuple[str, str]] = set()
    while True:
        more = {
            (old.stack, old.logical_id)
            for old in before.resources()
            if (new := _same(after, old)) and _is_replaced(old, new, replaced)
        }
        if more == replaced:
            return replaced
        replaced = more


def _is_replaced(old: Resource, new: Resource, replaced: set[tuple[str, str]]) -> bool:
    if old.type != new.type:
        return True
    for path in _create_only(old.type):
        value = _at(old.properties, path)
        if value != _at(new.properties, path) or _mentions(value, old.stack, replaced):
            return True
    return False


def _is_changed(old: Resource, new: Resource, replaced: set[tuple[str, str]]) -> bool:
    return old.properties != new.properties or _mentions(old.properties, old.stack, replaced)


@cache
def _create_only(type_: str) -> tuple[Path, ...]:
    schema = _schema(type_)
    paths = (tuple(pointer.split("/")[2:]) for pointer in schema.get("createOnlyProperties", ()))
    return (*paths, *_ALSO_CREATE_ONLY.get(type_, ()))


@cache
def names_of(type_: str) -> tuple[str, ...]:
    """Return the properties by which a person names a resource of this type."""
    candidates = {*_schema(type_).get("primaryIdentifier", ()), "/properties/QueueName", "/properties/Name"}
    created = {"/".join(("", "properties", *path)) for path in _create_only(type_)}
    return tuple(sorted(pointer.split("/")[2] for pointer in candidates & created))


def _schema(type_: str) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema
    return schema


def _same(assembly: Assembly, resource: Resource) -> Resource | None:
    definition = assembly.templates.get(resource.stack, {}).get("Resources", {}).get(resource.logical_id)
    return Resource(resource.stack, resource.logical_id, definition) if definition else None


def _at(properties: Any, path: Path) -> Any:
    for name in path:
        properties = properties.get(name) if isinstance(properties, Mapping) else None
    return properties


def _mentions(value: Any, stack: str, replaced: set[tuple[str, str]]) -> bool:
    text = json.dumps(value)
    return any(place == stack and f'"{logical_id}"' in text for place, logical_id in replaced)


def _exported(template: Template) -> dict[str, Any]:
    outputs = template.get("Outputs", {}).values()
    return {output["Export"]["Name"]: output["Value"] for output in outputs if "Export" in output}


def _imports(template: Template) -> set[str]:
    if isinstance(template, Mapping):
        found = {template["Fn::ImportValue"]} if isinstance(template.get("Fn::ImportValue"), str) else set()
        return found.union(*(_imports(value) for value in template.values()))
    if isinstance(template, list):
        return set().union(*(_imports(value) for value in template))
    return set()


def _gib(database: Resource) -> int:
    return int(database.properties.get("AllocatedStorage", 0))


def _finding(rule: str, resource: Resource, sentence: str) -> Finding:
    return Finding(rule, resource.stack, resource.logical_id, sentence)
