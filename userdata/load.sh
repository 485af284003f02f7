#!/bin/bash
# Summary: makes an instance that can send load; whoever wants some starts Locust on it by Run Command.
# Usage:   user data; the stack fills in what stands between @ signs
set -Eeuo pipefail
trap 'echo "anb: user data, line $LINENO: $BASH_COMMAND"' ERR

readonly PYTHON_VERSION=3.11 PACKAGES_WAIT_SECONDS=600

mkdir -p /opt/anb
cd /opt/anb
AWS_MAX_ATTEMPTS=10 aws s3 cp --no-progress --region @REGION@ '@ARTEFACT_ADDRESS@' artefact.zip
echo '@ARTEFACT_SHA256@  artefact.zip' | sha256sum --check
python3 -m zipfile -e artefact.zip load
cd load
until dnf --quiet --assumeyes install "python$PYTHON_VERSION"; do
    ((SECONDS < PACKAGES_WAIT_SECONDS))
    sleep 10
done
"python$PYTHON_VERSION" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --no-index --find-links wheels \
    --require-hashes --requirement requirements.txt
