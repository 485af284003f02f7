from datetime import UTC, datetime

import boto3
import pytest
from botocore import auth
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from anb.links import LINK_SECONDS, PERIOD_SECONDS, LinkSigner

BEGUN = 1_700_000_000 // PERIOD_SECONDS * PERIOD_SECONDS
BASES = ("https://media.s3.amazonaws.com", "http://127.0.0.1:4566/media")


def signer(*, base_url=BASES[0], token=None, clock=lambda: BEGUN):
    credentials = Credentials("AKID", "secret", token)
    return LinkSigner(base_url=base_url, region="us-east-1", credentials=credentials, clock=clock)


def parts(link):
    address, _, query = link.partition("?")
    return address, sorted(query.split("&"))


def client(base_url, *, token):
    """Return the client of the bucket `media`, which S3 itself finds by its host, the emulator by its path."""
    session = boto3.Session("AKID", "secret", token, region_name="us-east-1")
    endpoint = None if base_url.endswith("amazonaws.com") else base_url.removesuffix("/media")
    return session.client("s3", endpoint_url=endpoint, config=Config(signature_version="s3v4"))


@pytest.mark.parametrize("base_url", BASES)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_a_link_is_the_one_that_botocore_signs(base_url, token):
    s3 = client(base_url, token=token)

    @given(
        key=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1),
        period=st.integers(0, 9_999_999_999 // PERIOD_SECONDS),
    )
    def is_botocores(key, period):
        begun = period * PERIOD_SECONDS
        with pytest.MonkeyPatch.context() as patch:  # botocore has no other seam for its clock
            patch.setattr(auth, "get_current_datetime", lambda: datetime.fromtimestamp(begun, UTC))
            theirs = s3.generate_presigned_url("get_object", {"Bucket": "media", "Key": key}, LINK_SECONDS)

        assert parts(signer(base_url=base_url, token=token, clock=lambda: begun).sign(key)) == parts(theirs)

    is_botocores()


def test_a_link_works_for_ten_minutes_at_least():
    times = iter([BEGUN, BEGUN + PERIOD_SECONDS - 1, BEGUN + PERIOD_SECONDS])
    sign = signer(clock=lambda: next(times)).sign

    first, last, following = sign("k"), sign("k"), sign("k")

    assert first == last != following
    assert LINK_SECONDS - PERIOD_SECONDS >= 600


def test_credentials_that_change_sign_the_next_link():
    credentials = Credentials("AKID", "secret")
    sign = LinkSigner(base_url=BASES[0], region="us-east-1", credentials=credentials, clock=lambda: BEGUN).sign
    before = sign("k")

    credentials.access_key = "OTHER"

    assert "OTHER" in sign("k")
    assert "OTHER" not in before
