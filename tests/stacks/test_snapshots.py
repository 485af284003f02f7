"""What is kept in docs/templates is what a deployment gets."""

import cfnlint.decode
import pytest

from stacks.profiles import ACADEMY, PRODUCTION
from tests.stacks.snapshots import FOLDER, RENEW, pages


@pytest.fixture
def profiles(write):
    """Both profiles' templates, with no setting but the profile."""
    return {profile.name: write(profile) for profile in (ACADEMY, PRODUCTION)}


def kept():
    return {path.relative_to(FOLDER): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.*")}


def names_in(template):
    """Return every resource's, property's and condition's name, whatever functions make its value."""
    if isinstance(template, list):
        return set().union(*map(names_in, template))
    if not isinstance(template, dict):
        return set()
    found = {key for key in template if key != "Ref" and not key.startswith(("Fn::", "aws:cdk:", "aws:asset:"))}
    sub = template.get("Fn::Sub")
    values = [] if isinstance(sub, list) else template.values()
    return (found | set().union(*map(names_in, values))) - {"Metadata"}


def renew(pages):
    for path in kept().keys() - pages.keys():
        (FOLDER / path).unlink()
    for path, text in pages.items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text, encoding="utf-8")


def test_the_snapshots_are_what_the_stacks_write(profiles, request):
    written = pages(profiles)
    if request.config.getoption("--write-snapshots"):
        renew(written)

    changed = {str(path) for path, _ in kept().items() ^ written.items()}
    assert changed == set(), f"if this is meant: {RENEW}, read the difference in docs/templates, and commit it"


def test_other_artefacts_change_no_snapshot(write, make_sources):
    before, after = write(ACADEMY), write(ACADEMY, make_sources(release="2"))

    assert before.templates["AnbWeb"] != after.templates["AnbWeb"]
    assert pages({"academy": before}) == pages({"academy": after})


def test_a_changed_property_changes_the_page_of_its_stack_alone(write):
    assembly = write(ACADEMY)
    before = pages({"academy": assembly})
    assembly.only("AnbWorker", "AWS::AutoScaling::AutoScalingGroup").definition["Properties"]["MaxSize"] = "4"

    changed = {str(path) for path, _ in before.items() ^ pages({"academy": assembly}).items()}
    assert changed == {"academy/AnbWorker.yaml"}


def test_a_snapshot_is_a_template_that_leaves_nothing_out(profiles):
    for profile, assembly in profiles.items():
        for stack, template in assembly.templates.items():
            read, problems = cfnlint.decode.decode(str(FOLDER / profile / f"{stack}.yaml"))

            assert problems == []
            assert names_in(read) == names_in(template)
