#!/bin/bash
# Summary: how every instance begins; web.sh or worker.sh follows.
# Usage:   user data; stacks fill in what stands between @ signs
set -Eeuo pipefail

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

# fetch ADDRESS SHA256
fetch() {
    AWS_MAX_ATTEMPTS=10 aws s3 cp --no-progress "$1" artefact.zip
    echo "$2  artefact.zip" | sha256sum --check
    python3 -m zipfile -e artefact.zip unpacked
}

# One that is not ready fails a deployment, and lives
boot() {
    rm -rf release && mv unpacked release
    bash release/boot.sh
    local result=(true)
    [[ ! -s /run/anb-failure ]] || result=(false --reason "$(</run/anb-failure)")
    signal --success "${result[@]}" || echo 'anb: CloudFormation waits for no signal'
}

mkdir -p /opt/anb
cd /opt/anb
rm -rf unpacked /run/anb-failure
export AWS_REGION=@REGION@ AWS_DEFAULT_REGION=@REGION@
export ANB_MEDIA_BUCKET='@MEDIA_BUCKET@' ANB_QUEUE_URL='@QUEUE_URL@'
export ANB_DATABASE_PARAMETER='@DATABASE_PARAMETER@' ANB_LOG_GROUP='@LOG_GROUP@' ANB_METRICS_NAMESPACE=@METRICS_NAMESPACE@
