"""The documents' pictures are drawn from what there is."""

import shutil
from pathlib import Path

import pytest

from scripts.draw import ROOT, data_model, drawn, pictures, stale


def test_the_pictures_are_drawn_from_what_the_stacks_write(academy):
    # Otherwise: make figures
    assert list(stale(academy.assembly)) == []


def test_another_size_of_a_fleet_makes_the_picture_stale(academy):
    assembly = academy.assembly
    assembly.only("AnbWorker", "AWS::AutoScaling::AutoScalingGroup").definition["Properties"]["MaxSize"] = "2"

    assert list(stale(assembly)) == ["docs/entrega4/figuras/despliegue.dot is not what there is"]


def test_a_picture_that_was_not_drawn_again_is_stale(academy, tmp_path):
    for place in pictures(academy.assembly):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".dot", ".svg"):
            shutil.copy((ROOT / place).with_suffix(suffix), (tmp_path / place).with_suffix(suffix))
    picture = tmp_path / "docs" / "figures" / "data-model.svg"
    picture.write_text(picture.read_text().replace("sha256", "of old"))

    assert list(stale(academy.assembly, tmp_path)) == ["docs/figures/data-model.svg is not drawn from its source"]


@pytest.mark.skipif(not Path(ROOT, "node_modules/@viz-js").exists(), reason="make test installs what lays out")
def test_a_picture_needs_no_other_file():
    picture = drawn(data_model())

    assert picture.count("uncounted_votes") > 1
    assert "href" not in picture
