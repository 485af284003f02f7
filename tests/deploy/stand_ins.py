"""The app with stand-ins for the artefacts: what is deployed has their names and places, and is a few bytes.

Usage: python stand_ins.py FOLDER          (run by the CDK command line in the project's folder)
       python stand_ins.py --not-built     the same where nothing has been built
"""

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import aws_cdk as cdk

from app import SOURCES, main
from stacks.constructs.artefacts import Sources


def stand_ins(folder: Path) -> Sources:
    """The same bytes each time, as real artefacts of unchanged sources are."""
    for name in ("web", "worker", "ffmpeg", "load"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
            file.writestr(zipfile.ZipInfo(name), name)
    return Sources(artefacts=folder, user_data=SOURCES.user_data)


if __name__ == "__main__":
    built = (
        stand_ins(Path(sys.argv[1])) if sys.argv[1] != "--not-built" else replace(SOURCES, artefacts=Path("build/no"))
    )
    sys.exit(main(cdk.App(), built))
