#!/bin/bash
# Summary: makes a machine that holds an unpacked artefact run its service, web or worker; safe to run again.
# Usage:   boot.sh    (the user data exports ANB_SERVICE and the settings; what went wrong is in /run/anb-failure, and
#          so is, after a success, what the service is not ready for)
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly PYTHON_VERSION=3.11
readonly VENV=/opt/anb/venv
readonly SETTINGS=/etc/anb/settings.env
readonly LOGS=/var/log/anb
readonly NGINX_STATE=/var/lib/anb-nginx NGINX_LOGS=/var/log/anb-nginx
readonly PACKAGES_WAIT_SECONDS=${ANB_PACKAGES_WAIT_SECONDS:-600} LONGEST_PAUSE_SECONDS=60
readonly DATABASE_WAIT_SECONDS=${ANB_DATABASE_WAIT_SECONDS:-600}
readonly HEALTH_WAIT_SECONDS=60

: "${ANB_WEB_BIND:=127.0.0.1:8000}"
: "${ANB_DATABASE_CA:=/opt/anb/release/rds-ca.pem}"

say() {
    echo "anb: $*"
}

die() {
    trap - ERR
    echo "$*" >/run/anb-failure
    say "$*" >&2
    exit 1
}
trap 'die "boot.sh, line $LINENO: $BASH_COMMAND"' ERR

# web or worker, whichever this machine is
is() {
    [[ $ANB_SERVICE == "$1" ]]
}

verify_artefact() {
    sha256sum --check --quiet SHA256SUMS || die "the artefact is broken: its files are not what SHA256SUMS says"
}

# A network that comes late, a mirror that is away, an rpm lock that another holds: all of that passes
install_packages() {
    local packages=("python$PYTHON_VERSION" amazon-cloudwatch-agent logrotate)
    if is web; then packages+=(nginx); fi
    local pause=5
    until timeout "$PACKAGES_WAIT_SECONDS" dnf --quiet --assumeyes install "${packages[@]}"; do
        ((SECONDS + pause < PACKAGES_WAIT_SECONDS)) ||
            die "dnf could not install ${packages[*]} within $PACKAGES_WAIT_SECONDS s"
        say "dnf failed and is tried again in $pause s"
        sleep "$pause"
        pause=$((2 * pause < LONGEST_PAUSE_SECONDS ? 2 * pause : LONGEST_PAUSE_SECONDS))
    done
}

create_users_and_folders() {
    install -D -m 0644 anb.sysusers /etc/sysusers.d/anb.conf
    systemd-sysusers /etc/sysusers.d/anb.conf
    install -D -m 0644 anb.tmpfiles /etc/tmpfiles.d/anb.conf
    systemd-tmpfiles --create /etc/tmpfiles.d/anb.conf
    install -D -m 0644 anb.logrotate /etc/logrotate.d/anb
}

# Before everything that can fail slowly, so that its failure can be read in CloudWatch
start_log_agent() {
    local worker workers=
    for ((worker = 1; worker <= ${ANB_PROCESSES:-0}; worker++)); do
        workers+=", {\"file_path\": \"$LOGS/worker-$worker.log\", \"log_group_name\": \"@LOG_GROUP@\","
        workers+=" \"log_stream_name\": \"{instance_id}/worker-$worker\"}"
    done
    sed -e "s|@WORKERS@|$workers|" -e "s|@LOG_GROUP@|$ANB_LOG_GROUP|g" -e "s|@SERVICE@|$ANB_SERVICE|g" \
        -e "s|@NAMESPACE@|$ANB_METRICS_NAMESPACE|" cloudwatch-agent.json >/etc/anb/cloudwatch-agent.json
    /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl \
        -a fetch-config -m ec2 -s -c file:/etc/anb/cloudwatch-agent.json
    systemctl enable amazon-cloudwatch-agent
}

# From the wheels of the artefact alone; an environment made from the same artefact is kept
install_service() {
    if cmp --silent SHA256SUMS "$VENV/artefact"; then return; fi
    rm -rf "$VENV"
    "python$PYTHON_VERSION" -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-index --find-links wheels \
        --require-hashes --requirement requirements.txt
    install -m 0644 SHA256SUMS "$VENV/artefact"
}

# Names of secrets, never secrets: each process looks those up when it starts
write_settings() {
    local names=(AWS_REGION AWS_DEFAULT_REGION ANB_MEDIA_BUCKET ANB_QUEUE_URL ANB_DATABASE_PARAMETER ANB_DATABASE_CA)
    if is web; then
        names+=(ANB_JWT_SECRET_ID ANB_ADDRESS_SECRET_ID ANB_WEB_BIND ANB_CORS_ORIGINS ANB_MEDIA_URL "${!ANB_MAX_@}")
    else
        names+=(ANB_AUTO_SCALING_GROUP ANB_LIFECYCLE_HOOK)
    fi
    install -m 0640 /dev/null "$SETTINGS"
    local name
    for name in "${names[@]}"; do
        # No other site has to be let in, and links can be signed; everything else has to be there
        [[ -n ${!name:-} || $name =~ ^ANB_(CORS_ORIGINS|MEDIA_URL)$ ]] || die "the user data does not set $name"
        printf '%s="%s"\n' "$name" "${!name}" >>"$SETTINGS"
    done
}

configure_nginx() {
    local network trusted=
    for network in $ANB_TRUSTED_NETWORKS; do
        trusted+="set_real_ip_from $network; "
    done
    sed -e 's|@USER@||' -e "s|@LISTEN@|$ANB_PORT|" -e "s|@UPSTREAM@|$ANB_WEB_BIND|" -e "s|@RUN@|$NGINX_STATE|" \
        -e "s|@ACCESS_LOG@|$NGINX_LOGS/access.log|" -e "s|@TRUSTED@|$trusted|" \
        -e "s|@CLIENT_HEADER@|$ANB_CLIENT_HEADER|" -e "s|@SCHEME_VARIABLE@|$ANB_SCHEME_VARIABLE|" \
        nginx.conf >/etc/anb/nginx.conf
}

install_units() {
    local unit
    for unit in units/*; do
        sed -e "s|@MEMORY_MIB@|$ANB_MEMORY_MIB|" "$unit" >"/etc/systemd/system/${unit##*/}"
    done
    systemctl daemon-reload
    systemctl enable --quiet anb-database.service anb-database-check.timer "${UNITS[@]}"
}

# A web server serves from here on, whether or not its database does; a worker starts behind its database
start_service() {
    systemctl restart --no-block anb-database.service "${UNITS[@]}"
    systemctl start anb-database-check.timer
    if is web; then
        wait_for_units
        wait_until_it_answers /healthz || die "$(silence /healthz)"
    fi
    say "$ANB_SERVICE is started"
}

# Only whoever deploys gives up. The units never do, and the machine is as good as one that comes later
wait_until_ready() {
    say "waiting for the database"
    if ! timeout "$DATABASE_WAIT_SECONDS" systemctl start anb-database.service; then
        note "the database is not ready after $DATABASE_WAIT_SECONDS s: $(last_error)"
        return
    fi
    wait_for_units
    if is web && ! wait_until_it_answers /readyz; then
        note "$(silence /readyz)"
        return
    fi
    say "$ANB_SERVICE is ready"
}

note() {
    echo "$*" >/run/anb-failure
    say "$*"
}

# Programs of ours begin their error messages with their name; the rest of the log is JSON
last_error() {
    grep '^anb' "$LOGS/database.log" | tail --lines 1 || true
}

# The units themselves say when they are ready
wait_for_units() {
    say "waiting for ${UNITS[*]}"
    systemctl start "${UNITS[@]}" || die "${UNITS[*]} did not start: $(tail --quiet --lines 1 "$LOGS/$ANB_SERVICE"*.log)"
}

# What clients see is what nginx makes of it
wait_until_it_answers() {
    for ((waited = 0; waited < HEALTH_WAIT_SECONDS; waited++)); do
        curl --silent --fail --max-time 3 --output /dev/null "http://127.0.0.1:$ANB_PORT$1" && return
        sleep 1
    done
    return 1
}

silence() {
    echo "$1 does not answer with success after $HEALTH_WAIT_SECONDS s: $(tail --lines 1 "$LOGS/nginx.log")"
}

if is web; then
    UNITS=(anb-web.service anb-nginx.service)
else
    UNITS=()
    for ((worker = 1; worker <= ANB_PROCESSES; worker++)); do UNITS+=("anb-worker@$worker.service"); done
fi
verify_artefact
install_packages
create_users_and_folders
start_log_agent
install_service
write_settings
if is web; then configure_nginx; fi
install_units
start_service
wait_until_ready
