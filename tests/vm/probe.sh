#!/bin/sh
# Runs inside the guest, as root, once cloud-init has ended; the answers are
# left on the disk, where the host reads them after power-off.
set -u
base=/var/lib/vm-probe
mkdir -p "$base"
boot=$(($(ls "$base" | wc -l) + 1))
out=$base/boot-$boot
mkdir -p "$out"

# answer NAME COMMAND...: its output and its exit code.
answer() {
    name=$1
    shift
    "$@" >"$out/$name" 2>"$out/$name.stderr" </dev/null
    echo "$?" >"$out/$name.code"
    echo "$(cut -d' ' -f1 /proc/uptime) $name" >>"$out/times"
}

# This script is itself a unit that was started after the enrolment.
answer unit-environment env
answer cloud-init-status cloud-init status --long
# Before anything else of ours writes into it.
cp /var/log/cloud-init-output.log "$out/cloud-init-output.log"
cp /run/cloud-init/status.json "$out/cloud-init.json"
cp /run/cloud-init/result.json "$out/cloud-init-result.json"
answer azcmagent-show azcmagent show -j
answer azcmagent-proxy azcmagent config get proxy.url
answer azcmagent-package dpkg-query -W -f '${Status} ${Version}\n' azcmagent
answer services systemctl show -p Id,LoadState,ActiveState,UnitFileState \
    himdsd.service arcproxyd.service extd.service gcad.service
answer manager-environment systemctl show-environment
answer profile-environment env -i PATH="$PATH" sh -c '. /etc/profile; env'
answer login-environment env -i PATH="$PATH" su -s /bin/sh root -c env
answer apt-settings apt-config dump
answer failed-units systemctl --failed --no-legend --plain
answer processes ps -ef
answer rerun /bin/sh /run/rerun.sh
# What the timer does, by its own unit and within that unit's limits.
answer timer systemctl show -p LoadState,ActiveState,UnitFileState,NextElapseUSecMonotonic arc-enroll.timer
answer service-run systemctl start arc-enroll.service
answer drift sh -c "systemctl stop himdsd.service && azcmagent config clear proxy.url &&
    sed -i /^HTTPS_PROXY/d /etc/environment && ! grep ^HTTPS_PROXY /etc/environment && ! systemctl is-active himdsd.service"
answer service-repair systemctl start arc-enroll.service
answer service-result systemctl show -p Result,ExecMainStatus arc-enroll.service
answer service-state systemctl is-active himdsd.service
answer service-proxy azcmagent config get proxy.url
answer service-journal journalctl -o cat -u arc-enroll.service
answer status arc-enroll status
answer status-json arc-enroll status --output json
# "eyJ" starts every JWT: where does one still stand in memory?
answer tokens-in-tmpfs grep -rlaE 'eyJ[A-Za-z0-9_-]{20}' /run /dev/shm /tmp
answer tokens-in-processes sh -c "grep -laE 'eyJ[A-Za-z0-9_-]{20}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline"
answer tmpfs-files find /run /dev/shm /tmp -xdev -type f
sync
