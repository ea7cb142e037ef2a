#!/bin/sh
# Runs inside the guest, as root, once cloud-init has ended; the answers are
# left on the disk, where the host reads them after power-off.
set -u
# The number of this boot, and the function `ask`.
. /run/ask.sh
out=/var/lib/vm-probe/boot-$boot
log=/var/log/cloud-init-output.log
mkdir -p "$out"

# answer NAME COMMAND...: its output and its exit code.
answer() {
    name=$1
    shift
    "$@" >"$out/$name" 2>"$out/$name.stderr" </dev/null
    echo "$?" >"$out/$name.code"
    echo "$(cut -d' ' -f1 /proc/uptime) $name" >>"$out/times"
}

# by_itself COMMAND...: waits until it succeeds, four minutes at most.
by_itself() {
    for _ in $(seq 240); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 1
    done
    return 1
}

enrolled() {
    grep -q '"outcome": "enrolled"' /var/lib/arc-enroll/status.json
}

# another_look: waits until one more run has ended.
another_look() {
    ended=$(grep -c '"event":"run.finished"' "$log")
    by_itself more_ended "$ended"
}

more_ended() {
    [ "$(grep -c '"event":"run.finished"' "$log")" -gt "$1" ]
}

# Everything that makes the machine what it is: name, owner, mode and content. What a
# run writes each time (its record, the stand-in's list of calls) is left out.
tree() {
    find /etc /usr/local /opt /root /home /lib/systemd/system.conf.d /var/opt/azcmagent /var/lib/arc-enroll -xdev \
        ! -path '/var/opt/azcmagent/nexus*' ! -path /var/lib/arc-enroll/status.json ! -type d \
        -printf '%M %u:%g %p %l\n' | sort
    find /etc /usr/local /root /home /lib/systemd/system.conf.d /var/opt/azcmagent /var/lib/arc-enroll -xdev -type f \
        ! -path '/var/opt/azcmagent/nexus*' ! -path /var/lib/arc-enroll/status.json -exec md5sum {} + | sort -k 2
}

drift() {
    systemctl stop himdsd.service
    azcmagent config clear proxy.url
    sed -i /^HTTPS_PROXY/d /etc/environment
    ! grep ^HTTPS_PROXY /etc/environment && ! systemctl is-active himdsd.service
}

without_drift() {
    systemctl is-active himdsd.service && grep ^HTTPS_PROXY /etc/environment && azcmagent config get proxy.url | grep http
}

# unfinished: files that a write leaves behind when it is cut off, by the agent or by dpkg.
unfinished() {
    find / -xdev \( -name '*.arc-enroll-new' -o -name '*.dpkg-new' -o -name '*.dpkg-tmp' \)
    find /var/lib/arc-enroll /var/lib/dpkg/updates -mindepth 1 ! -path /var/lib/arc-enroll/status.json
    find /etc/arc-enroll /etc/systemd/system/arc-enroll.* /etc/environment /etc/profile.d /etc/apt -type f -empty
}

# This script is itself a unit that was started after the enrolment.
answer unit-environment env
answer cloud-init-status cloud-init status --long
# Before anything else of ours writes into it.
cp "$log" "$out/cloud-init-output.log"
cp /run/cloud-init/status.json "$out/cloud-init.json"
cp /run/cloud-init/result.json "$out/cloud-init-result.json"
answer cloud-init-version cloud-init --version
answer failed-units systemctl --failed --no-legend --plain
ask
answer azcmagent-show azcmagent show -j
answer azcmagent-proxy azcmagent config get proxy.url
answer azcmagent-package dpkg-query -W -f '${Status} ${Version}\n' azcmagent
answer services systemctl show -p Id,LoadState,ActiveState,UnitFileState \
    himdsd.service arcproxyd.service extd.service gcad.service
answer manager-environment systemctl show-environment
answer profile-environment env -i PATH="$PATH" sh -c '. /etc/profile; env'
answer login-environment env -i PATH="$PATH" su -s /bin/sh root -c env
answer apt-settings apt-config dump
answer service-journal journalctl -o cat -u arc-enroll.service
answer timer systemctl show -p LoadState,ActiveState,UnitFileState,NextElapseUSecMonotonic arc-enroll.timer
answer status arc-enroll status
answer status-json arc-enroll status --output json
# Where does a JWT still stand in memory? The dots tell it from other base64, as in user-data.
jwt='eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}\.'
answer tokens-in-tmpfs grep -rlaE "$jwt" /run /dev/shm /tmp --exclude=planted
answer tokens-in-processes sh -c "grep -laE '$jwt' /proc/[0-9]*/environ /proc/[0-9]*/cmdline"
answer tokens-planted grep -laE "$jwt" /run/planted
# A token that was never issued, where a real one must not be: in a file, in the journal, on the
# console. The search must find it there, or it would find nothing else either.
cp /run/planted "$out/planted"
logger -t vm-planted -f /run/planted
cat /run/planted >/dev/console
journalctl --sync
sync
