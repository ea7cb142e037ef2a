#!/bin/sh
# Starts the installed arc-enroll, from its package or in the image.
for binary in /usr/local/bin/arc-enroll /usr/bin/arc-enroll; do
    if [ -x "$binary" ]; then exec "$binary" enroll; fi
done
message='there is no arc-enroll at /usr/bin or /usr/local/bin: this user-data was made with --without-binary'
next='install the package arc-enroll, then run: sudo arc-enroll enroll; better, put it into the image'
head=$(printf '{"timestamp":"%s","level":"error","run_id":"%s","condition":"host","event":"run.finished","message":"%s"' \
    "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" "$(cat /proc/sys/kernel/random/uuid)" "$message")
# Written at once, so that the line is not split.
printf '%s,"outcome":"failed","fault":"binary.absent","exit_code":3,"elapsed_ms":0,"next":"%s"}\n' "$head" "$next"
exit 3
