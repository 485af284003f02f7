from datetime import UTC, datetime

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from anb.links import LINK_SECONDS, PERIOD_SECONDS, LinkSigner

BEGUN = 1_700_000_000 // PERIOD_SECONDS * PERIOD_SECONDS
BASES = ("https://media.s3.us-east-1.amazonaws.com", "http://127.0.0.1:4566/media")


def signer(*, base_url=BASES[0], token=None, clock=lambda: BEGUN):
    credentials = Credentials("AKID", "secret", token)
    return LinkSigner(base_url=base_url, region="us-east-1", credentials=credentials, clock=clock)


@pytest.fixture
def botocores_link(monkeypatch):
    """Return what botocore signs at the beginning of the period; it has no other seam for its clock."""
    monkeypatch.setattr(auth, "get_current_datetime", lambda: datetime.fromtimestamp(BEGUN, UTC))

    def sign(url, token):
        request = AWSRequest("GET", url)
        credentials = Credentials("AKID", "secret", token).get_frozen_credentials()
        auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1", LINK_SECONDS).add_auth(request)
        return request.url

    return sign


def parts(link):
    address, _, query = link.partition("?")
    return address, sorted(query.split("&"))


@pytest.mark.parametrize("base_url", BASES)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("key", ["processed/8d0f/1.mp4", "with space/ñ.mp4"])
def test_a_link_is_the_one_that_botocore_signs(botocores_link, base_url, token, key):
    ours = signer(base_url=base_url, token=token).sign(key)

    assert parts(ours) == parts(botocores_link(ours.partition("?")[0], token))


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
