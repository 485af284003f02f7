"""What instances start from: built twice, in two places, by people with different habits."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography import x509

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "cache"
NAMES = ("web", "worker", "ffmpeg", "load")


def lay_out(folder, *, source=ROOT, copy=shutil.copy2):
    """Copy everything that the artefacts are made from."""
    for name in ("services", "ops", "userdata", "scripts", "capacity", "capacity-planning"):
        shutil.copytree(source / name, folder / name, copy_function=copy)
    for name in ("requirements.txt", "pyproject.toml"):
        copy(source / name, folder / name)


def build(folder, *, umask=0o022, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "scripts.build_artefacts", "--cache", CACHE],
        cwd=folder,
        env={**os.environ, **environment},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "build"


def digests(folder):
    return {name: hashlib.sha256((folder / f"{name}.zip").read_bytes()).hexdigest() for name in NAMES}


def contents(folder, name):
    with zipfile.ZipFile(folder / f"{name}.zip") as archive:
        return {entry: archive.read(entry) for entry in archive.namelist()}


def pins(text):
    return dict(re.findall(r"^(\S+) --hash=sha256:(\w+)$", text.decode(), re.MULTILINE))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    lay_out(folder)
    return build(folder)


def test_the_same_sources_give_the_same_bytes_wherever_and_whenever(built, tmp_path):
    folder = tmp_path / "elsewhere with a space"
    folder.mkdir()
    lay_out(folder, source=built.parent, copy=shutil.copyfile)  # with today's timestamps
    for path in (folder / "services").rglob("*"):
        path.chmod(0o700)
    leftovers = folder / "services" / "anb" / "anb" / "__pycache__"
    leftovers.mkdir(exist_ok=True)
    (leftovers / "left.cpython-313.pyc").write_bytes(b"left")

    again = build(folder, umask=0o077, LC_ALL="C", TZ="Asia/Tokyo", SOURCE_DATE_EPOCH="1700000000")

    assert digests(again) == digests(built)


def test_a_change_of_the_worker_leaves_the_address_of_the_web_tier_alone(built, tmp_path):
    lay_out(tmp_path, source=built.parent)
    with (tmp_path / "services/worker/anb_worker/loop.py").open("a") as source:
        source.write("# changed\n")

    before, after = digests(built), digests(build(tmp_path))

    assert [name for name in NAMES if before[name] != after[name]] == ["worker"]


@pytest.mark.parametrize("name", NAMES)
def test_entries_have_no_habits_of_the_machine_that_packed_them(built, name):
    with zipfile.ZipFile(built / f"{name}.zip") as archive:
        entries = archive.infolist()

    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} <= {0o100644, 0o100755}


@pytest.mark.parametrize("name", ["web", "worker"])
def test_an_artefact_holds_what_its_machine_runs_and_nothing_that_lay_about(built, name):
    files = contents(built, name).keys()
    common = {"boot.sh", "database.sh", "anb.sysusers", "anb.tmpfiles", "anb.logrotate", "cloudwatch-agent.json"}
    own = {
        "web": {"nginx.conf", "units/anb-web.service", "units/anb-nginx.service"},
        "worker": {"units/anb-worker@.service"},
    }
    units = {f"units/anb-database{ending}" for ending in (".service", "-check.service", "-check.timer")}

    assert {path for path in files if not path.startswith("wheels/")} == (
        common | own[name] | units | {"rds-ca.pem", "requirements.txt", "SHA256SUMS"}
    )


def test_the_load_generator_carries_locust_and_every_scenario(built):
    files = contents(built, "load").keys()
    scenarios = {f"scenarios/{path.name}" for path in (ROOT / "capacity-planning" / "scenarios").glob("*.py")}
    judgement = {"capacity/__init__.py", "capacity/criteria.py", "capacity/target.py"}

    assert {path for path in files if not path.startswith("wheels/")} == {"requirements.txt", *scenarios, *judgement}
    assert [path for path in files if path.startswith("wheels/locust-")]
    assert scenarios


def test_a_scenario_finds_in_the_load_generators_archive_all_that_it_imports_of_ours(built, tmp_path):
    with zipfile.ZipFile(built / "load.zip") as archive:
        archive.extractall(tmp_path)

    ran = subprocess.run(
        [sys.executable, "-m", "locust", "--locustfile", "scenarios/uploads.py", "--list"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "MultipartUploader" in ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["web", "worker"])
def test_every_file_has_its_sum(built, name):
    files = contents(built, name)
    sums = {
        path: digest for digest, path in re.findall(r"^(\w+)  (\S+)$", files["SHA256SUMS"].decode(), re.MULTILINE)
    }

    assert sums == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items() if path != "SHA256SUMS"
    }


def test_ffmpeg_travels_alone_and_is_the_one_that_the_lock_names(built):
    wheel, content = next(iter(contents(built, "ffmpeg").items()))
    digest = hashlib.sha256(content).hexdigest()

    assert wheel.startswith("wheels/imageio_ffmpeg-")
    assert not [path for path in contents(built, "worker") if "imageio" in path]
    assert pins(contents(built, "worker")["requirements.txt"])["imageio-ffmpeg==0.8.1"] == digest
    assert f"--hash=sha256:{digest}" in (ROOT / "requirements.txt").read_text()


@pytest.mark.parametrize("name", ["web", "worker", "load"])
def test_what_others_published_is_what_the_lock_names(built, name):
    lock = (ROOT / "requirements.txt").read_text()
    others = {
        pin: digest for pin, digest in pins(contents(built, name)["requirements.txt"]).items() if pin[:3] != "anb"
    }

    assert others
    assert [pin for pin, digest in others.items() if pin not in lock or f"sha256:{digest}" not in lock] == []


@pytest.mark.parametrize("name", ["web", "worker", "load"])
def test_the_wheels_install_without_an_index(built, name, tmp_path):
    for archive in (name, "ffmpeg"):
        with zipfile.ZipFile(built / f"{archive}.zip") as packed:
            packed.extractall(tmp_path)
    for_amazon_linux = ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    installed = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--target", tmp_path / "target"),
            *("--disable-pip-version-check", "--no-index", "--find-links", tmp_path / "wheels", "--require-hashes"),
            *("--only-binary", ":all:", "--python-version", "3.11", *for_amazon_linux),
            *("--requirement", tmp_path / "requirements.txt"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert installed.returncode == 0, installed.stderr


def test_neither_service_carries_the_other(built):
    web, worker = (set(contents(built, name)) for name in ("web", "worker"))

    assert not [path for path in web if "worker" in path]
    assert not [path for path in worker if "web" in path or "flask" in path or "nginx" in path]


@pytest.mark.parametrize("name", ["web", "worker", "load"])
def test_no_private_key_and_no_access_key_is_in_an_artefact(built, name):
    telling = re.compile(rb"PRIVATE KEY-----|\bA(?:KIA|SIA)[A-Z0-9]{16}\b")
    found = []
    for path, content in contents(built, name).items():
        ours = not path.startswith("wheels/") or path.startswith("wheels/anb")  # these are not compressed
        found += [path] if ours and telling.search(content) else []

    assert found == []


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_the_database_is_verified_with_authorities_that_last(built, region):
    authorities = x509.load_pem_x509_certificates(contents(built, "web")["rds-ca.pem"])
    names = {
        authority.subject.rfc4514_string(): authority.not_valid_after_utc.year
        for authority in authorities
        if f"Amazon RDS {region} Root CA" in authority.subject.rfc4514_string()
    }

    assert len(names) == 3  # RSA 2048, RSA 4096, ECC 384
    assert min(names.values()) >= 2061


def test_the_kept_authorities_are_those_whose_source_is_noted():
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "rds-ca.pem.sha256"],
        cwd=ROOT / "userdata",
        capture_output=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr


def test_the_kept_authorities_are_roots_that_vouch_for_themselves():
    authorities = x509.load_pem_x509_certificates((ROOT / "userdata" / "rds-ca.pem").read_bytes())

    for authority in authorities:
        authority.verify_directly_issued_by(authority)
    assert len(set(authorities)) == len(authorities)
