#!/bin/sh
# A user-data script that fetches the binary, for user-data that must be small.
#
#   1. Put the binary where the VM can fetch it, and add that host to the egress endpoints of the cloud
#      services network (`az networkcloud cloudservicesnetwork update --additional-egress-endpoints ...`).
#   2. Replace the values marked below. `sha256sum arc-enroll` prints the digest.
#   3. Give Azure the base64 of it: base64 < download.sh | tr -d '\n' > user-data.b64
#      and create the VM with `--user-data-content @user-data.b64`.
#
# It has to stay plain ASCII: cloud-init does not pass on a script that holds other bytes.
set -eu

url=https://example.com/arc-enroll                                        # replace
sha256=0000000000000000000000000000000000000000000000000000000000000000   # replace
proxy=http://169.254.0.11:3128

mkdir -p /etc/arc-enroll /usr/local/bin
(
    umask 077
    cat > /etc/arc-enroll/config.yaml << 'END_OF_CONFIGURATION'
azure:
  subscription_id: 00000000-0000-0000-0000-000000000000   # replace
  resource_group: my-resource-group                       # replace
  location: eastus                                        # replace
identity: system
END_OF_CONFIGURATION
)

# The proxy may come up later than the VM: ten minutes of attempts.
new=/usr/local/bin/.arc-enroll.new
end=$(($(date +%s) + 600))
until curl -fsSL --proxy "$proxy" --connect-timeout 10 --max-time 300 -o "$new" "$url"; do
    if [ "$(date +%s)" -ge "$end" ]; then
        echo "arc-enroll was not fetched from $url within ten minutes" >&2
        exit 1
    fi
    sleep 10
done
if ! echo "$sha256  $new" | sha256sum -c - > /dev/null; then
    rm -f "$new"
    echo "$url is not the binary expected: its SHA-256 is another than $sha256" >&2
    exit 1
fi
chmod 0755 "$new"
mv "$new" /usr/local/bin/arc-enroll
exec /usr/local/bin/arc-enroll enroll
