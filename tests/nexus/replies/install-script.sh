#!/bin/bash
# Stand-in of the official installation script, with its ways: the exit status is 0 or 1 whatever happened, the
# result with its AZCM code is only in the file named by --output.
root="@ROOT@"
output=""
proxy=""
version=""
while [ $# -gt 0 ]; do
    case "$1" in
        -o | --output) output="$2"; shift 2 ;;
        -p | --proxy) proxy="$2"; shift 2 ;;
        -d | --desiredversion) version="=$2"; shift 2 ;;
        -t | --tempdir | -a | --altdownload | -e | --althisendpoint) shift 2 ;;
        --forceupgrade) shift ;;
        *) echo "unknown argument $1"; exit 1 ;;
    esac
done
finish() {
    if [ -n "$output" ]; then printf '%b' "$1" >"$output"; fi
    exit "$2"
}
if [ -n "$proxy" ]; then export https_proxy="$proxy" HTTPS_PROXY="$proxy" http_proxy="$proxy" HTTP_PROXY="$proxy"; fi
echo "Using 'curl' for downloads"
echo "Platform type:  x86_64:Linux"
echo "Retrieving distro info from /etc/os-release..."
if curl "http://169.254.169.254/metadata/instance/compute?api-version=2019-06-01" -f -s -o /dev/null \
    -H "Metadata: true" --connect-timeout 1 --noproxy "*"; then
    finish '{\n\t"status": "failed",\n\t"error": {\n\t\t"code": "AZCM0141",\n\t\t"message": "$0: cannot install Azure Connected Machine agent on an Azure Virtual Machine"\n\t}\n}\n' 1
fi
mkdir -p "$root/etc/apt/sources.list.d"
if [ ! -e "$root/etc/apt/sources.list.d/packages-microsoft-prod.list" ]; then
    echo "deb [arch=amd64] https://packages.microsoft.com/debian/12/prod bookworm main" \
        >"$root/etc/apt/sources.list.d/packages-microsoft-prod.list"
fi
"$root/usr/bin/apt-get" update
if ! "$root/usr/bin/apt-get" install -y "azcmagent$version"; then
    finish '{\n\t"status": "failed",\n\t"error": {\n\t\t"code": "AZCM0143",\n\t\t"message": "error installing azcmagent (exit code: 100)."\n\t}\n}\n' 1
fi
if [ -n "$proxy" ]; then "$root/usr/bin/azcmagent" config set proxy.url "$proxy"; fi
echo "Latest version of azcmagent is installed."
finish '{\n\t"status": "success",\n\t"message": "Latest version of azcmagent is installed."\n}\n' 0
