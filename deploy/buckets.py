"""Buckets: whose a name is, and how one is emptied."""

from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from deploy.account import Account
from deploy.errors import CannotDeploy

# Logs arrive for some minutes after they were switched off, in a bucket that was empty
ATTEMPTS = 3
_DELETED_AT_ONCE = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


def is_ours(account: Account, bucket: str, *, number: str, setting: str) -> bool:
    """Whether we have the bucket; raise CannotDeploy when somebody else has it, or it is in another region."""
    try:
        answer = account.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=number)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        if status == 403:
            raise CannotDeploy(
                f"The bucket name {bucket} is taken by another account: choose another with {setting}=NAME."
            ) from None
        if status in {301, 400}:
            raise CannotDeploy(f"The bucket {bucket} is not in {account.region}: {_elsewhere(setting)}.") from None
        raise
    if answer.get("BucketRegion", account.region) != account.region:
        raise CannotDeploy(f"The bucket {bucket} is in {answer['BucketRegion']}: {_elsewhere(setting)}.")
    return True


def _elsewhere(setting: str) -> str:
    return f"choose another with {setting}=NAME, or deploy to its region with region=NAME"


def with_tags(account: Account, prefixes: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the region's buckets whose name begins so, with their tags."""
    s3 = account.client("s3")
    for page in s3.get_paginator("list_buckets").paginate(BucketRegion=account.region):
        for bucket in page.get("Buckets", ()):
            name = bucket["Name"]
            if not name.startswith(tuple(prefixes)):
                continue
            try:
                tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"NoSuchTagSet", "NoSuchBucket"}:
                    raise
                continue
            yield name, {tag["Key"]: tag["Value"] for tag in tags}


def delete(account: Account, bucket: str) -> int:
    """Delete a bucket with everything in it; return how many objects and versions that was."""
    s3, deleted = account.client("s3"), 0
    for _ in range(ATTEMPTS):
        deleted += empty(account, bucket)
        try:
            s3.delete_bucket(Bucket=bucket)
        except s3.exceptions.NoSuchBucket:
            return deleted
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketNotEmpty":
                raise
        else:
            return deleted
    raise CannotDeploy(f"The bucket {bucket} fills up as fast as it is emptied: run this again in some minutes.")


def empty(account: Account, bucket: str) -> int:
    """Delete every version, delete marker and unfinished upload; return how many. A bucket that is gone is empty."""
    s3, deleted = account.client("s3"), 0
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            for start in range(0, len(found), _DELETED_AT_ONCE):
                _delete(s3, bucket, found[start : start + _DELETED_AT_ONCE])
            deleted += len(found)
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", ()):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                deleted += 1
    except s3.exceptions.NoSuchBucket:
        pass
    return deleted


def _delete(s3: Any, bucket: str, versions: list[dict[str, Any]]) -> None:
    objects = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    for error in answer.get("Errors", ()):
        raise CannotDeploy(f"{error['Key']} in {bucket} cannot be deleted: {error['Message']}.")
