#!/bin/sh
# Starts the arc-enroll that is on this VM, by its package or in the image.
for binary in /usr/local/bin/arc-enroll /usr/bin/arc-enroll; do
    if [ -x "$binary" ]; then exec "$binary" enroll; fi
done
printf '{"timestamp":"%s","level":"error","run_id":"%s","condition":"host","event":"run.finished","message":"%s","outcome":"failed","fault":"binary.absent","exit_code":3,"elapsed_ms":0,"next":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" "$(cat /proc/sys/kernel/random/uuid)" \
    "there is no arc-enroll at /usr/bin or /usr/local/bin: this user-data was made with --without-binary" \
    "install the package arc-enroll into the image, or make the user-data without --without-binary; on this VM: install the package arc-enroll, then run: sudo arc-enroll enroll"
exit 3
