"""What people's rights ask of an account beyond what runs on an instance: old versions, caches, and links.

No name, e-mail address or token goes through Systems Manager, whose history keeps commands for 30 days: they are sent
as hashes.
"""

import json
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from anb import accounts, commands
from anb.storage import prefixes
from deploy import cloudformation
from ops import reset_password
from ops.account import run_command
from ops.account.desk import Desk
from ops.account.run_command import Result
from ops.dependencies import CommandFailed

_DELETED_AT_ONCE = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


def run(desk: Desk, arguments: Sequence[str]) -> Result:
    """Run a command on an instance of the account."""
    return run_command.run(desk.account, desk.fleets.in_service(), arguments)


def pass_on(result: Result) -> int:
    """Print what came back, each to its own stream; return the exit code."""
    sys.stdout.write(result.printed)
    sys.stderr.write(result.complaints)
    return result.code


def forget(desk: Desk, params: Mapping[str, Any]) -> int:
    """Erase a person on an instance, and from here what only an owner of the bucket may delete: old versions."""
    options = ["--dry-run"] if params["dry_run"] else []
    result = run(desk, ["forget", _hidden(params["who"]), "--json", *options])
    if result.code != commands.DONE:
        return pass_on(result)
    receipt = json.loads(result.printed)
    if receipt["erased"]:
        receipt["versions"] = _delete_versions(desk, receipt["videos"])
    receipt["snapshots"] = list(_snapshots(desk))
    if params["as_json"]:
        commands.print_json(receipt)
    else:
        _tell(receipt)
    return commands.DONE


def takedown(desk: Desk, params: Mapping[str, Any]) -> int:
    """Take a video down on an instance, and out of the delivery network's caches from here."""
    options = [
        option for option, chosen in (("--dry-run", params["dry_run"]), ("--json", params["as_json"])) if chosen
    ]
    result = run(desk, ["takedown", str(params["video_id"]), params["reason"], *options])
    if result.code == commands.DONE and not params["dry_run"]:
        _forget_cached(desk, [str(params["video_id"])])
    return pass_on(result)


def link_for_new_password(desk: Desk, params: Mapping[str, Any]) -> int:
    """Make the token here, and have an instance keep its hash."""
    token = reset_password.new_token()
    result = run(desk, ["reset-password", _hidden(params["who"]), "--token-sha256", accounts.hashed(token)])
    if result.code != commands.DONE:
        return pass_on(result)
    reset_password.tell(reset_password.link(_site(desk), token), as_json=params["as_json"])
    return commands.DONE


PARTLY_HERE: dict[str, Callable[[Desk, Mapping[str, Any]], int]] = {
    "forget": forget,
    "takedown": takedown,
    "reset-password": link_for_new_password,
}


def _hidden(who: str) -> str:
    return f"sha256:{accounts.hashed(who.strip().lower())}" if "@" in who else who


def _tell(receipt: Mapping[str, Any]) -> None:
    verb, videos, votes = "erased" if receipt["erased"] else "would erase", len(receipt["videos"]), receipt["votes"]
    print(f"{verb} account {receipt['user_id']} with {videos} videos and {votes} votes for others")
    if "versions" in receipt:
        print(f"deleted {receipt['versions']} versions of files")
    if receipt["snapshots"]:
        print(f"snapshots from before still hold the person: {', '.join(receipt['snapshots'])}")


def _site(desk: Desk) -> str:
    web = cloudformation.find(desk.account, desk.names.web)
    if web is None or "Url" not in web.outputs:
        raise CommandFailed(f"{desk.names.web} does not tell where the site is")
    return web.outputs["Url"]


def _delete_versions(desk: Desk, video_ids: Sequence[str]) -> int:
    """Delete what a versioned bucket keeps of deleted files, for its seven days; return how many versions it was."""
    media = cloudformation.find(desk.account, desk.names.media)
    bucket = media.outputs["Bucket"] if media else ""
    s3, deleted = desk.account.client("s3"), 0
    for prefix in (prefix for video_id in video_ids for prefix in prefixes(UUID(video_id))):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            found = [
                {"Key": it["Key"], "VersionId": it["VersionId"]}
                for it in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            ][:_DELETED_AT_ONCE]
            if found:
                answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise CommandFailed(
                        f"{len(errors)} old versions could not be deleted ({errors[0].get('Message')}); "
                        "the bucket's lifecycle deletes them within 7 days"
                    )
                deleted += len(found)
    _forget_cached(desk, video_ids)
    return deleted


def _forget_cached(desk: Desk, video_ids: Sequence[str]) -> None:
    """Have CloudFront forget clips and pictures, where there is one: it keeps them for a year."""
    for distribution in _distributions(desk):
        if video_ids:
            paths = [f"/{folder}/{video_id}/*" for video_id in video_ids for folder in ("processed", "thumbnails")]
            desk.account.client("cloudfront").create_invalidation(
                DistributionId=distribution,
                InvalidationBatch={
                    "Paths": {"Quantity": len(paths), "Items": paths},
                    "CallerReference": secrets.token_hex(8),
                },
            )


def _distributions(desk: Desk) -> Iterator[str]:
    for resource in cloudformation.resources(desk.account, desk.names.web):
        if resource.type == "AWS::CloudFront::Distribution":
            yield resource.id


def _snapshots(desk: Desk) -> Iterator[str]:
    pages = desk.account.client("rds").get_paginator("describe_db_snapshots")
    for page in pages.paginate(DBInstanceIdentifier=desk.names.database_instance):
        yield from (snapshot["DBSnapshotIdentifier"] for snapshot in page["DBSnapshots"])
