# What the scripts that bring the program share: lines of the log, the timer that tries again, and the last line.
# The timer's runs add to the log too.
if [ "${1:-}" = later ]; then exec >> "$log" 2>&1; fi
run_id=$(cat /proc/sys/kernel/random/uuid)
seconds() {
    # The uptime, since the clock may be set during the first boot.
    read -r up _ < /proc/uptime
    echo "${up%.*}"
}
begun=$(seconds)
elapsed() {
    echo "$((($(seconds) - begun) * 1000))"
}

# Redacts a text for the log: printable characters only, without the queries of URLs.
shown() {
    printf '%s' "$1" | sed 's/?[^ ]*//g' | tr -cd '\040-\176' | cut -c 1-600
}
json() {
    printf '%s' "$1" | tr -cd '\040-\176' | sed 's/[\\"]/\\&/g'
}

# say LEVEL CONDITION EVENT MESSAGE MEMBERS: one line of the log.
say() {
    now=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
    # A date without fractions of a second, such as that of busybox, leaves their format.
    case $now in *%*) now=${now%.*}.000Z ;; esac
    members='"timestamp":"%s","level":"%s","run_id":"%s","condition":"%s","event":"%s","message":"%s",%s'
    # shellcheck disable=SC2059 # The format is the line above.
    line=$(printf "{$members}" "$now" "$1" "$run_id" "$2" "$3" "$(json "$4")" "$5")
    printf '%s\n' "$line"
    # Under cloud-init standard output is the log; a terminal is not.
    if [ -t 1 ]; then printf '%s\n' "$line" >> "$log"; fi
}

# Installs a timer that retries, also after a reboot: cloud-init runs this script once, and the agent's own timer does
# not exist yet. Its first run is after the window of this run.
try_later() {
    if [ -e "$unit.timer" ] || ! [ -d /run/systemd/system ]; then return; fi
    cat > "$unit.service" << END_OF_UNIT
[Unit]
Description=Bring arc-enroll and enroll this VM as an Azure Arc-enabled server
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=/bin/sh $script later
END_OF_UNIT
    cat > "$unit.timer" << END_OF_UNIT
[Unit]
Description=Try again to bring arc-enroll

[Timer]
OnActiveSec=$((window + 60))
OnUnitInactiveSec=10min
RandomizedDelaySec=1min

[Install]
WantedBy=timers.target
END_OF_UNIT
    systemctl daemon-reload
    systemctl --quiet enable --now "${unit##*/}.timer"
}
no_more() {
    if ! [ -e "$unit.timer" ]; then return; fi
    systemctl --quiet disable --now "${unit##*/}.timer"
    rm -f "$unit.service" "$unit.timer"
    systemctl daemon-reload
}

# finish EXIT_CODE: ends a run without the binary, with the last failure.
finish() {
    outcome=failed
    if [ "$1" = 75 ]; then outcome=waiting; fi
    try_later
    if [ -e "$unit.timer" ]; then next="$next; ${unit##*/}.timer tries again by itself"; fi
    rest="\"elapsed_ms\":$(elapsed),\"next\":\"$(json "$next")\""
    say error "$condition" run.finished "arc-enroll was not ${script##*-}ed: $message" \
        "\"outcome\":\"$outcome\",\"fault\":\"$fault\",\"exit_code\":$1,$rest"
    exit "$1"
}

# met FAULT CONDITION MESSAGE NEXT
met() {
    fault=$1 condition=$2 message=$3 next="${4:+$4; then }run: sudo sh $0"
}

# The interpreters that may be there; cloud-init's own is, even where no python3 is in PATH.
pythons() {
    sed -n '1s|^#! *\(/usr/bin/env  *\)\{0,1\}\([^ ]*python[^ ]*\).*|\2|p' "$(command -v cloud-init)" 2> /dev/null
    printf '%s\n' /usr/libexec/platform-python python3 python
}
digest() {
    if ! [ -e "$1" ]; then return; fi
    if command -v sha256sum > /dev/null; then
        sha256sum "$1" 2> /dev/null | cut -d ' ' -f 1
        return
    fi
    for python in $(pythons); do
        "$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1" \
            2> /dev/null && return
    done
}
is_right() {
    [ "$(digest "$1")" = "$sha256" ]
}

# Makes room for a new file: those of an interrupted run are removed.
clear_way() {
    mkdir -p "${binary%/*}"
    set +f
    rm -f "${new%.*}".*
    set -f
}
not_written() {
    met "$1" host "$binary cannot be written: $(shown "$words"); df: $(df -Pk "${binary%/*}" | tail -n 1)" \
        "Make room below ${binary%/*}, or mount it writable"
}
not_executable() {
    met "$1" host "the binary is the right one, but does not run: ${binary%/*} is mounted noexec, or this is not its \
processor ($(uname -m))" "Mount ${binary%/*} with exec, or take a binary for $(uname -m)"
}

# Puts the new file in its place, with the errors in `words`. Synced before that, so that a power cut does not leave an
# empty file; an old `sync` knows no operands.
put_in_place() {
    sync "$new" 2> /dev/null || sync
    words=$(mv -f "$new" "$binary" 2>&1)
}
trap 'rm -f "$new"' EXIT
