"""What is deployed: the zips that `make artefacts` builds, and the scripts that fetch them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

HOW_TO_BUILD = "run make artefacts, or without make: PYTHONPATH=services/anb python3 -m scripts.build_artefacts"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The folder with the built zips and the folder with the user data."""

    artefacts: Path
    user_data: Path

    def scripts(self, service: str) -> tuple[Path, Path]:
        """Return the parts of the service's user data, in their order."""
        return self.user_data / "instance.sh", self.user_data / f"{service}.sh"


class Artefact(Construct):
    """A built zip, published under the hash of its content: unchanged, it keeps its address and its instances."""

    def __init__(self, scope: Construct, id_: str, path: Path) -> None:
        super().__init__(scope, id_)
        if not path.is_file():
            # It stops synth, diff and deploy; ls and destroy, which need nothing built, go on with a stand-in
            cdk.Annotations.of(self).add_error(f"{path.parent.name}/{path.name} is missing: {HOW_TO_BUILD}.")
            path = Path(__file__)
        self._asset = assets.Asset(self, "Zip", path=str(path))
        self.address = self._asset.s3_object_url
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def grant_read(self, role: iam.IRole) -> None:
        """Allow to fetch this one object; CDK's own grant opens the bucket of all deployments."""
        key = self._asset.bucket.arn_for_objects(self._asset.s3_object_key)
        role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[key]))
