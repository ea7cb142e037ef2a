#!/bin/sh
# Written by `arc-enroll user-data --fetch-url`: fetches arc-enroll through the proxy, checks its SHA-256
# and runs `enroll`. A second run continues where the first stopped; a correct binary is not fetched again.
set -uf
umask 022
export LC_ALL=C

sha256=@SHA256@
window=@WINDOW@
log=@LOG@
binary=/usr/local/bin/arc-enroll
new=$binary.fetched.$$
script=/usr/local/sbin/arc-enroll-fetch
unit=/etc/systemd/system/arc-enroll-fetch
@RUN@
# URL and proxy may hold secrets, so curl reads them from standard input, and logs show them redacted.
configuration() {
    cat << 'END_OF_CONFIGURATION'
@REQUEST@
silent
show-error
fail
location
globoff
connect-timeout = "10"
write-out = "\n%{http_code} %{http_connect} %{url_effective}"
END_OF_CONFIGURATION
}
url=$(configuration | sed -n 's/^url = "\(.*\)"$/\1/p')
proxy=$(configuration | sed -n 's/^proxy = "\(.*\)"$/\1/p')

nl='
'

# Replaces curl if it is not installed, with the same configuration and exit codes.
fetch_by_python() {
    "$1" -c '
import json, shutil, ssl, sys, urllib.error, urllib.parse, urllib.request
told = dict(line.rstrip("\n").split(" = ", 1) for line in sys.stdin if " = " in line)
told = {name: json.loads(value) for name, value in told.items()}
proxy = told.get("proxy", "")
if "proxy-user" in told:
    user = ":".join(urllib.parse.quote(part, safe="") for part in told["proxy-user"].split(":", 1))
    proxy = proxy.replace("://", "://" + user + "@", 1)
code, status, connect, words = 0, 0, 0, ""
# NO_PROXY does not apply to this download.
urllib.request.proxy_bypass = lambda host: False
try:
    handler = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
    with urllib.request.build_opener(handler).open(told["url"], timeout=30) as reply:
        status = reply.status
        with open(told["output"], "wb") as file:
            shutil.copyfileobj(reply, file)
except urllib.error.HTTPError as error:
    code, status, words = 22, error.code, str(error)
except Exception as error:
    reason = getattr(error, "reason", error)
    words = str(reason)
    tunnel = words.partition("Tunnel connection failed: ")[2][:3]
    number = getattr(reason, "errno", None)
    if tunnel:
        code, connect = 56, tunnel
    elif isinstance(reason, ssl.SSLError):
        code = 60
    elif isinstance(error, urllib.error.URLError) or isinstance(reason, (ConnectionError, TimeoutError)):
        code = 7
    else:
        code = 23 if number else 56
print(words.replace("\n", " "))
print(status, connect, told["url"])
sys.exit(code)
'
}

fetch() {
    { configuration; printf 'output = "%s"\nmax-time = "%s"\n' "$new" "$1"; } | if [ -n "$curl" ]; then
        "$curl" -q --config - 2>&1
    else
        fetch_by_python "$python" 2>&1
    fi
}

# diagnose CODE: classifies curl's exit code and the statuses; sets `again` to the retry policy.
diagnose() {
    endpoints="[{'category':'arc-enroll','endpoints':[{'domainName':'$host','port':$port}]}]"
    csn="az networkcloud cloudservicesnetwork update --name \"\$CSN_NAME\""
    csn="$csn --resource-group \"\$CSN_RESOURCE_GROUP\" --additional-egress-endpoints \"$endpoints\""
    csn="$csn (this replaces the list: keep what it already has)"
    status=$http
    if [ "$connect" -ge 400 ]; then status=tunnel$connect; fi
    again=wait exit_code=17
    case $1:$status in
        0:*)
            found=$(digest "$new")
            met fetch.digest egress "$place is not the binary expected: its SHA-256 is $found, not $sha256" \
                "Host the very file that this user-data was made for, or make the user-data anew"
            again=few ;;
        23:*)
            not_written fetch.not-written
            again=few exit_code=11 ;;
        35:* | 51:* | 53:* | 54:* | 58:* | 59:* | 60:* | 77:* | 83:* | 90:* | 91:*)
            met fetch.tls egress "TLS with $host fails: $(shown "$words")" \
                "Install its authority on the VM, check the clock, or host the file by http: its SHA-256 is checked" ;;
        *:407 | *:tunnel407)
            met fetch.proxy-authentication proxy "the proxy $proxy asks for a user and a password (407)" \
                "Set proxy.url with user and password in the configuration, and make the user-data anew"
            again=never exit_code=15 ;;
        *:403 | *:tunnel403)
            # With http the answer may come from the proxy or the host; the proxy refuses by default.
            if [ "$status" = tunnel403 ] || { [ -n "$proxy" ] && [ "${place%%:*}" = http ]; }; then
                met fetch.refused egress "the proxy $proxy refuses $host:$port (403)" \
                    "Add $host to the egress endpoints: $csn"
            else
                met fetch.denied egress "$place answers 403" \
                    "Allow the download there, or renew the key in the URL"
                again=few
            fi ;;
        *:401)
            met fetch.denied egress "$place answers 401" "Allow the download without signing in"
            again=few ;;
        *:404 | *:410)
            met fetch.missing egress "$place answers $status: there is no such file" \
                "Put the binary there, or correct --fetch-url"
            again=few ;;
        *:tunnel*)
            met fetch.unreachable egress "the proxy $proxy answers $connect for $host:$port" \
                "See that $host is among the egress endpoints and answers: $csn"
            exit_code=75 ;;
        22:*)
            met fetch.unreachable egress "$place answers $status" "Look at the host of the file"
            exit_code=75 ;;
        5:* | 7:* | 97:*)
            if [ -n "$proxy" ]; then
                met fetch.proxy proxy "the proxy $proxy cannot be reached: $(shown "$words")" \
                    "See that the VM has its cloud services network attached"
            else
                met fetch.unreachable egress "$host:$port cannot be reached: $(shown "$words")" \
                    "Let the VM reach $host:$port, or set proxy.url"
            fi
            exit_code=75 ;;
        *)
            met fetch.unreachable egress "$place cannot be fetched: $(shown "$words")" \
                "See that $host is among the egress endpoints and answers: $csn"
            exit_code=75 ;;
    esac
}

# try: one attempt; sets what `diagnose` needs.
try() {
    left=$((window - ($(seconds) - begun)))
    if [ "$left" -gt 300 ]; then left=300; fi
    if [ "$left" -lt 10 ]; then left=10; fi
    output=$(fetch "$left")
    code=$?
    words=${output%"$nl"*}
    # shellcheck disable=SC2086 # Three words, on the last line.
    set -- ${output##*"$nl"}
    http=${1:-0} connect=${2:-0} last=${3:-$url}
    case $http$connect in *[!0-9]*) http=0 connect=0 last=$url words=$output ;; esac
    # After a redirection the message names the last host.
    place=$(shown "$last")
    host=${place#*://} host=${host%%/*} port=443
    case $place in http://*) port=80 ;; esac
    case $host in
        *]) ;;
        *:*) port=${host##*:} host=${host%:*} ;;
    esac
    # Times are removed, so that repeated failures have the same message.
    words=$(printf '%s' "$words" | sed 's/[0-9][0-9]* \(ms\|milliseconds\|bytes\)/some \1/g')
    return "$code"
}

install_it() {
    chmod 0755 "$new"
    if ! "$new" --version > /dev/null 2>&1; then
        not_executable fetch.not-executable
        finish 3
    fi
    if put_in_place; then return 0; fi
    code=23
    return 1
}

curl=$(command -v curl) || curl=
python=$(command -v python3) || python=$(command -v /usr/libexec/platform-python) || python=
trap 'met fetch.interrupted host "the run was told to stop" ""; finish 75' HUP INT TERM

if ! is_right "$binary"; then
    say info egress fetch.started "fetching arc-enroll" \
        "\"url\":\"$(json "$(shown "$url")")\",\"proxy\":\"$proxy\""
    if [ -z "$curl$python" ]; then
        met fetch.no-downloader host "there is neither curl nor python3 on this VM" \
            "Put curl into the image, or make the user-data without --fetch-url"
        finish 3
    fi
    clear_way
    told='' delay=1 few=5
    until try && is_right "$new" && install_it; do
        diagnose "$code"
        left=$((window - ($(seconds) - begun)))
        if [ "$fault $message" != "$told" ]; then
            told="$fault $message"
            try_later
            say warn "$condition" fetch.failed "$message" \
                "\"fault\":\"$fault\",\"remaining_ms\":$((left > 0 ? left * 1000 : 0))"
        fi
        if [ "$again" = few ]; then few=$((few - 1)); fi
        if [ "$again" = never ] || [ "$few" = 0 ] || [ "$left" -le 0 ]; then finish "$exit_code"; fi
        sleep "$((delay < left ? delay : left))"
        delay=$((delay < 16 ? delay * 2 : 30))
    done
    say info egress fetch.finished "arc-enroll is fetched, and its SHA-256 is right" \
        "\"elapsed_ms\":$(elapsed)"
fi
no_more
exec "$binary" enroll
