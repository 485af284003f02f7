"""A synthesised system as rules see it: templates, and what their references lead to."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Template = Mapping[str, Any]
_SUFFIX = ".template.json"


@dataclass(frozen=True)
class Resource:
    """One resource of one stack's template."""

    stack: str
    logical_id: str
    definition: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The CloudFormation type."""
        return str(self.definition["Type"])

    @property
    def properties(self) -> Mapping[str, Any]:
        """What the template says of it."""
        found: Mapping[str, Any] = self.definition.get("Properties", {})
        return found


@dataclass(frozen=True)
class Finding:
    """A resource (or, without one, a whole stack) that breaks a rule, and the limit that it breaks."""

    rule: str
    stack: str
    logical_id: str
    sentence: str


@dataclass(frozen=True)
class Assembly:
    """All templates of one synthesis, by stack, and the region they are for."""

    region: str
    templates: Mapping[str, Template]

    @classmethod
    def read(cls, paths: Iterable[Path], *, region: str) -> Self:
        """Return the templates that CDK has written to these paths."""
        templates = {stack_of(path): json.loads(path.read_text(encoding="utf-8")) for path in paths}
        return cls(region, templates)

    @classmethod
    def read_folder(cls, folder: Path, *, region: str) -> Self:
        """Return all templates that CDK has written into a folder."""
        return cls.read(folder.glob(f"*{_SUFFIX}"), region=region)

    def resources(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of these types, or all of them."""
        for stack, template in self.templates.items():
            for logical_id, definition in template.get("Resources", {}).items():
                if not types or definition["Type"] in types:
                    yield Resource(stack, logical_id, definition)

    def only(self, stack: str, type_: str) -> Resource:
        """Return the one resource of this type in the stack."""
        (found,) = (resource for resource in self.resources(type_) if resource.stack == stack)
        return found

    def follow(self, stack: str, value: Any) -> Resource | None:
        """Return the resource that a value in this stack refers to, also through another stack's export."""
        if not isinstance(value, Mapping):
            return None
        if "Fn::ImportValue" in value:
            return self._exported(value["Fn::ImportValue"])
        target = value.get("Ref") or value.get("Fn::GetAtt")
        logical_id = str(target[0] if isinstance(target, list) else target)
        definition = self.templates[stack].get("Resources", {}).get(logical_id)
        return Resource(stack, logical_id, definition) if definition else None

    def _exported(self, name: str) -> Resource | None:
        for stack, template in self.templates.items():
            for output in template.get("Outputs", {}).values():
                if output.get("Export", {}).get("Name") == name:
                    return self.follow(stack, output["Value"])
        return None

    def zones(self, stack: str, subnets: list[Any]) -> set[str]:
        """Return the zones that the subnets lie in; a subnet that is not ours lies in none."""
        found = (self.follow(stack, subnet) for subnet in subnets)
        return {json.dumps(subnet.properties["AvailabilityZone"]) for subnet in found if subnet}


def stack_of(path: Path) -> str:
    """Return whose template the file is."""
    return path.name.removesuffix(_SUFFIX)


Check = Callable[[Assembly], Iterator[tuple[Resource | str, str]]]


@dataclass(frozen=True)
class Rule:
    """Something that every synthesis must keep to; the check yields what breaks it and a sentence with the limit."""

    name: str
    check: Check

    def findings(self, assembly: Assembly) -> Iterator[Finding]:
        """Yield what breaks the rule."""
        for what, sentence in self.check(assembly):
            if isinstance(what, Resource):
                yield Finding(self.name, what.stack, what.logical_id, sentence)
            else:
                yield Finding(self.name, what, "", sentence)
