#!/bin/bash
# Summary: makes a machine a web server: fetch the artefact, check it, boot, tell CloudFormation.
# Usage:   user data; the stack fills in what stands between @ signs
set -Eeuo pipefail
export AWS_REGION=@REGION@ AWS_DEFAULT_REGION=@REGION@ ANB_SERVICE=web
export ANB_MEDIA_BUCKET='@MEDIA_BUCKET@'
export ANB_QUEUE_URL='@QUEUE_URL@'
export ANB_DATABASE_PARAMETER='@DATABASE_PARAMETER@'
export ANB_JWT_SECRET_ID='@JWT_SECRET_ID@'
export ANB_LOG_GROUP='@LOG_GROUP@'
export ANB_CORS_ORIGINS='@CORS_ORIGINS@'
export ANB_PORT=@PORT@ ANB_TRUSTED_NETWORKS='@TRUSTED_NETWORKS@'

signal() {
    /opt/aws/bin/cfn-signal --region @REGION@ --stack '@STACK_NAME@' --resource @SIGNAL_RESOURCE@ "$@"
}

# Its group replaces an instance that is off; the log agent gets time to send
fail() {
    trap - ERR
    local reason="user data, line $1: $2"
    [[ ! -s /run/anb-failure ]] || reason=$(</run/anb-failure)
    echo "anb: boot failed: $reason"
    signal --success false --reason "$reason" || true
    sleep "${ANB_LAST_WORDS_SECONDS:-20}"
    systemctl poweroff
    exit 1
}
trap 'fail "$LINENO" "$BASH_COMMAND"' ERR

mkdir -p /opt/anb
cd /opt/anb
rm -rf unpacked /run/anb-failure
aws s3 cp --no-progress '@ARTEFACT_ADDRESS@' artefact.zip
printf '%s  %s\n' @ARTEFACT_SHA256@ artefact.zip | sha256sum --check
python3 -m zipfile -e artefact.zip unpacked
rm -rf release && mv unpacked release
bash release/boot.sh
signal --success true || echo 'anb: CloudFormation waits for no signal'
