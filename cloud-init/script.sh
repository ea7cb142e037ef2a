#!/bin/sh
# A user-data script that carries the binary in itself, for those who use scripts and not cloud-config.
#
#   1. Replace the values marked below.
#   2. Append the binary:
#
#      { cat script.sh; gzip -9nc arc-enroll | base64; } > user-data
#
#   3. Give Azure the base64 of that: base64 < user-data | tr -d '\n' > user-data.b64
#      and create the VM with `--user-data-content @user-data.b64`. Keep that within 1,000,000 bytes.
#
# It has to stay plain ASCII: cloud-init does not pass on a script that holds other bytes.
set -eu

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

# Renamed into place, so that a run that is cut short leaves no half of a binary under its name.
new=/usr/local/bin/.arc-enroll.new
sed '1,/^END_OF_SCRIPT$/d' "$0" | base64 -d | gzip -dc > "$new"
chmod 0755 "$new"
mv "$new" /usr/local/bin/arc-enroll

# The shell reads no further than this line; what comes after it is the binary.
# shellcheck disable=SC2093
exec /usr/local/bin/arc-enroll enroll
END_OF_SCRIPT
