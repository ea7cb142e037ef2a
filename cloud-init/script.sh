#!/bin/sh
# A user-data script that carries the program in itself, for those who use scripts and not cloud-config.
#
#   1. Replace the values marked below.
#   2. Append the VM's program, dist/vm/arc-enroll:
#
#      { cat script.sh; xz --check=crc32 --x86 --lzma2=preset=9e,lc=4,pb=0 -c arc-enroll | base64; } > user-data
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

unpack() {
    if command -v xz > /dev/null; then
        xz -dc
    else
        python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.stdin.buffer), sys.stdout.buffer)'
    fi
}

# Renamed into place, so that a run that is cut short leaves no half of a program under its name.
new=/usr/local/bin/.arc-enroll.new
sed '1,/^END_OF_SCRIPT$/d' "$0" | base64 -d | unpack > "$new"
chmod 0755 "$new"
mv "$new" /usr/local/bin/arc-enroll

# The shell reads no further than this line; what comes after it is the program.
# shellcheck disable=SC2093
exec /usr/local/bin/arc-enroll enroll
END_OF_SCRIPT
