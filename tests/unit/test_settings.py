import pytest

from anb.abuse_limits import AbuseLimits
from anb.settings import SettingsError
from anb.upload_limits import UploadLimits
from anb_web.settings import WebSettings

COMPLETE = {
    "ANB_DATABASE_URL": "mysql+pymysql://anb:secret-word@localhost/anb",
    "ANB_MEDIA_BUCKET": "media",
    "ANB_QUEUE_URL": "http://localhost/queue",
    "ANB_JWT_SECRET": "x" * 32,
    "ANB_ADDRESS_SECRET": "y" * 32,
}


def test_settings_come_from_the_environment():
    settings = WebSettings.from_environment(COMPLETE)

    assert settings.media_bucket == "media"


def test_everything_that_is_missing_is_named_at_once():
    with pytest.raises(
        SettingsError, match="ANB_DATABASE_URL, ANB_MEDIA_BUCKET, ANB_QUEUE_URL, ANB_JWT_SECRET, ANB_ADDRESS_SECRET"
    ):
        WebSettings.from_environment({})


def test_a_setting_whose_secret_is_pending_is_empty():
    known = {name: value for name, value in COMPLETE.items() if name not in {"ANB_DATABASE_URL", "ANB_JWT_SECRET"}}
    settings = WebSettings.from_environment({**known, "ANB_PENDING": "ANB_DATABASE_URL ANB_JWT_SECRET"})

    assert (settings.database_url, settings.jwt_secret) == ("", "")


def test_an_empty_variable_counts_as_missing():
    with pytest.raises(SettingsError, match="ANB_MEDIA_BUCKET"):
        WebSettings.from_environment({**COMPLETE, "ANB_MEDIA_BUCKET": ""})


def test_limits_have_defaults_and_may_be_raised():
    limits = WebSettings.from_environment({**COMPLETE, "ANB_MAX_UPLOADS_AN_HOUR": "1000"}).upload_limits

    assert limits == UploadLimits(uploads_an_hour=1000)


def test_how_often_an_address_may_sign_up_and_vote_has_defaults_and_may_be_raised():
    settings = WebSettings.from_environment({**COMPLETE, "ANB_MAX_VOTES_A_MINUTE_PER_ADDRESS": "1000"})

    assert settings.abuse_limits == AbuseLimits(votes_a_minute_per_address=1000)
    assert settings.abuse_limits.sign_ups_an_hour_per_address == 200


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many", "²", "1" * 30])
def test_a_limit_that_is_no_number_is_refused(number):
    with pytest.raises(SettingsError, match="ANB_MAX_UPLOADS_AN_HOUR"):
        WebSettings.from_environment({**COMPLETE, "ANB_MAX_UPLOADS_AN_HOUR": number})


@pytest.mark.parametrize("url", ["sqlite:///x.db", "not a url"])
def test_another_database_than_mysql_is_refused(url):
    with pytest.raises(SettingsError, match="ANB_DATABASE_URL must look like"):
        WebSettings.from_environment({**COMPLETE, "ANB_DATABASE_URL": url})


@pytest.mark.parametrize("name", ["ANB_JWT_SECRET", "ANB_ADDRESS_SECRET"])
def test_a_short_secret_is_refused_without_quoting_it(name):
    with pytest.raises(SettingsError, match=f"{name} must have at least 32 bytes") as refusal:
        WebSettings.from_environment({**COMPLETE, name: "too-short"})

    assert "too-short" not in str(refusal.value)


def test_secrets_do_not_show_when_settings_are_printed():
    printed = repr(WebSettings.from_environment(COMPLETE))

    assert "secret-word" not in printed
    assert "x" * 32 not in printed
    assert "y" * 32 not in printed


def test_the_sites_that_may_call_are_separated_by_commas():
    sent = {**COMPLETE, "ANB_CORS_ORIGINS": "https://app.example.org, http://localhost:5173,"}

    assert WebSettings.from_environment(COMPLETE).allowed_origins == []
    assert WebSettings.from_environment(sent).allowed_origins == ["https://app.example.org", "http://localhost:5173"]


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "app.example.org", "ftp://app.example.org", "https://*.example.org", "https://"),
        *(
            "https://app.example.org/",
            "https://app.example.org/path",
            "https://app.example.org:443",
            "http://a.org:80",
        ),
        *("https://ana:secret@example.org", "https://App.example.org", "https://a b.org", "https://a.org:x"),
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin):
    with pytest.raises(SettingsError, match="ANB_CORS_ORIGINS must be origins like") as refusal:
        WebSettings.from_environment({**COMPLETE, "ANB_CORS_ORIGINS": f"https://good.example.org,{origin}"})

    assert repr(origin) in str(refusal.value)
    assert "good.example.org" not in str(refusal.value)


def test_published_videos_are_at_an_origin():
    sent = {**COMPLETE, "ANB_MEDIA_URL": "https://d111111abcdef8.cloudfront.net"}

    assert WebSettings.from_environment(sent).media_url == "https://d111111abcdef8.cloudfront.net"


@pytest.mark.parametrize("url", ["media.example.org", "https://media.example.org/", "https://media.example.org/anb"])
def test_another_place_for_published_videos_is_refused(url):
    with pytest.raises(SettingsError, match="ANB_MEDIA_URL must be an origin like"):
        WebSettings.from_environment({**COMPLETE, "ANB_MEDIA_URL": url})
