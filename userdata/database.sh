#!/bin/bash
# Summary: what the machine does about its database: waits for it at the start, notices that it was replaced later.
# Usage:   database.sh wait        returns when the credentials are found and the schema is the newest
#          database.sh replaced    succeeds when there are other credentials than before and their database is ready
set -Eeuo pipefail
trap 'echo "anb: database.sh, line $LINENO: $BASH_COMMAND" >&2' ERR

readonly PYTHON=/opt/anb/venv/bin/python
readonly IN_FORCE=/run/anb/secret-versions

versions() {
    "$PYTHON" -m anb.environment --versions
}

migrate() {
    "$PYTHON" -m anb.environment -- "$PYTHON" -m anb migrate
}

# The versions are read first: a secret that is replaced in between is noticed by the next check
wait_for_it() {
    local found
    until found=$(versions) && migrate; do
        sleep 5
    done
    echo "$found" >"$IN_FORCE"
}

is_replaced() {
    local found
    found=$(versions) || return 1
    [[ $found != "$(<"$IN_FORCE")" ]] || return 1
    migrate || return 1
    echo "$found" >"$IN_FORCE"
}

case ${1-} in
wait) wait_for_it ;;
replaced) is_replaced || exit 1 ;;
*)
    sed -n '3,4s/^# //p' "$0" >&2
    exit 2
    ;;
esac
