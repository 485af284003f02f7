"""Templates as people read them: YAML in CloudFormation's short forms, without what changes with every artefact."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stacks.rules.assembly import Assembly, Template

FOLDER = Path(__file__).parents[2] / "docs" / "templates"
RENEW = "make snapshots"

_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_MASK = "ARTEFACT_HASH"
_EXPORT = re.compile(r".*:ExportsOutput(Ref|FnGetAtt)")  # what CDK puts before the name of what it exports

_HEAD = f"""# Templates

What `npx cdk synth` writes for each profile with no other setting, to be read and reviewed: a change of the
infrastructure is a change here. `{RENEW}` writes this folder, and a test keeps it true. `{_MASK}` stands
for the hash of an artefact; texts that a template joins are shown as `!Sub`, JSON with its lines broken; CDK's notes
to itself are left out.

| stack | what it holds | academy | production |
| --- | --- | --- | --- |
"""


def pages(profiles: Mapping[str, Assembly]) -> dict[Path, str]:
    """Return what the folder of snapshots holds: each profile's templates, and an index of the stacks."""
    found = {
        Path(profile, f"{stack}.yaml"): page(template)
        for profile, assembly in profiles.items()
        for stack, template in assembly.templates.items()
    }
    return {Path("README.md"): _index(profiles), **found}


def page(template: Template) -> str:
    """Return one template as YAML."""
    text = yaml.dump(_shown(template), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return _HASH.sub(_MASK, text)


def _index(profiles: Mapping[str, Assembly]) -> str:
    first = next(iter(profiles.values()))
    rows = []
    for stack in sorted(first.templates):
        links = [
            f"[{len(assembly.templates[stack]['Resources'])} resources]({profile}/{stack}.yaml)"
            for profile, assembly in profiles.items()
        ]
        described = first.templates[stack]["Description"].partition(": ")[2]
        rows.append(f"| {' | '.join([stack, described, *links])} |\n")
    return _HEAD + "".join(rows)


class _Call:
    """An intrinsic function that YAML can write with a tag."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag, self.value = tag, value


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        if len(value) == 1:
            ((key, argument),) = value.items()
            if key == "Ref" or key.startswith("Fn::"):
                return _called(key, argument)
        shown = {key: _shown(inner) for key, inner in value.items() if not key.startswith(("aws:cdk:", "aws:asset:"))}
        return {key: inner for key, inner in shown.items() if key != "Metadata" or inner}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return value


def _called(key: str, argument: Any) -> Any:
    if key == "Fn::GetAtt":
        return _Call("!GetAtt", ".".join(argument))
    shown = _shown(argument)
    if key == "Fn::Join" and (text := _joined(*shown)) is not None:
        return text
    # A node has one tag: a call of a call is written out
    return {key: shown} if isinstance(shown, _Call) else _Call(f"!{key.removeprefix('Fn::')}", shown)


def _joined(separator: str, parts: Any) -> _Call | None:
    """Return words and references as one text, or None for what joins anything else."""
    if separator or not isinstance(parts, list):
        return None
    text, imported = "", {}
    for part in parts:
        tag, value = (part.tag, part.value) if isinstance(part, _Call) else ("", part)
        if tag in {"!Ref", "!GetAtt"}:
            text += f"${{{value}}}"
        elif tag == "!ImportValue":
            name = _EXPORT.sub("", value)
            imported[name] = part
            text += f"${{{name}}}"
        elif tag in {"", "!Sub"} and isinstance(value, str):
            text += value if tag else value.replace("${", "${!")
        else:
            return None
    text = _with_lines(text)
    return _Call("!Sub", [text, imported] if imported else text)


def _with_lines(text: str) -> str:
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text.startswith('{"') else text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base class passes it
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _represent_mapping(dumper: yaml.SafeDumper, mapping: dict[str, Any]) -> yaml.MappingNode:
    is_tag = mapping.keys() == {"Key", "Value"}
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=is_tag)


def _represent_call(dumper: yaml.SafeDumper, call: _Call) -> yaml.Node:
    if isinstance(call.value, Mapping):
        return dumper.represent_mapping(call.tag, call.value)
    if isinstance(call.value, list):
        return dumper.represent_sequence(call.tag, call.value)
    return dumper.represent_scalar(call.tag, str(call.value), style="|" if "\n" in str(call.value) else None)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(_Call, _represent_call)
