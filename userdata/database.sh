#!/bin/bash
# Summary: what the machine does about its database: waits for it at the start, notices that it was replaced later.
# Usage:   database.sh wait        returns when the credentials are found and the schema is the newest
#          database.sh tried       returns when the first attempt at that is over, however it went
#          database.sh replaced    succeeds when there are other credentials than before and their database is ready
set -Eeuo pipefail
trap 'echo "anb: database.sh, line $LINENO: $BASH_COMMAND" >&2' ERR

readonly PYTHON=/opt/anb/venv/bin/python
readonly IN_FORCE=/run/anb/secret-versions ABSENT=/run/anb/database-absent
readonly LONGEST_ATTEMPT_SECONDS=300

versions() {
    "$PYTHON" -m anb.environment --versions
}

migrate() {
    "$PYTHON" -m anb.environment -- "$PYTHON" -m anb migrate
}

# The versions are read first: a secret that is replaced in between is noticed by the next check
wait_for_it() {
    local found
    rm -f "$ABSENT"
    until found=$(versions) && migrate; do
        touch "$ABSENT"
        sleep 5
    done
    echo "$found" >"$IN_FORCE"
}

# A migration is waited for, so that nothing serves a schema that is older than itself, but not for ever
wait_for_attempt() {
    until [[ -e $IN_FORCE || -e $ABSENT ]] || ((SECONDS >= LONGEST_ATTEMPT_SECONDS)); do
        sleep 0.5
    done
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
tried) wait_for_attempt ;;
replaced) is_replaced || exit 1 ;;
*)
    sed -n '3,5s/^# //p' "$0" >&2
    exit 2
    ;;
esac
