#!/bin/sh
# Written by `arc-enroll user-data`: unpacks arc-enroll by xz or Python, checks its SHA-256 and runs `enroll`.
# Run again it only does the last: nothing reads the packed program any more, so it is removed. cloud-init keeps a
# copy in the user-data and writes it anew when it is asked to.
set -uf
umask 022
export LC_ALL=C

sha256=@SHA256@
size=@SIZE@
window=540
log=@LOG@
binary=/usr/local/bin/arc-enroll
packed=/usr/local/lib/arc-enroll.xz
new=$binary.unpacked.$$
script=/usr/local/sbin/arc-enroll-unpack
unit=/etc/systemd/system/arc-enroll-unpack
@RUN@
# unpack TOOL: false if the tool is not there, or what comes out is not the program.
unpack() {
    if [ "$1" = xz ]; then
        command -v xz > /dev/null || return
        words=$(xz -dc "$packed" 2>&1 > "$new")
    else
        "$1" -c 'import lzma' 2> /dev/null || return
        # Of a traceback the last line is the error.
        words=$("$1" -c 'import lzma, shutil, sys
shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$packed" 2>&1 > "$new" | tail -n 1)
    fi
    tried="${tried:+$tried; }$1 gives SHA-256 $(digest "$new")${words:+ and says: $(shown "$words")}"
    is_right "$new"
}

unpack_by_any() {
    for tool in xz $(pythons); do
        if unpack "$tool"; then return; fi
    done
    if [ -n "$tried" ]; then
        met binary.unpack host "$packed does not hold the program with SHA-256 $sha256: $tried" \
            "See that nothing changes the user-data on its way, and make it and the VM anew; or copy the program to $binary"
    else
        met binary.unpack host "there is neither xz nor a Python with the module lzma on this VM" \
            "Install xz (package xz-utils on Debian and Ubuntu, xz elsewhere), best in the image"
    fi
    finish 3
}

tried='' need=$(((size + 1023) / 1024))
if ! is_right "$binary" && { [ -e "$packed" ] || ! [ -x "$binary" ]; }; then
    if ! [ -e "$packed" ]; then
        met binary.unpack host "there is neither $binary nor $packed" \
            "Write it anew: sudo cloud-init single --name write_files --frequency always"
        finish 3
    fi
    # In a subshell, since a redirection that fails would end this one.
    words=$( (clear_way && : > "$new") 2>&1) || { not_written binary.unpack; finish 3; }
    # shellcheck disable=SC2046 # Six words, of which the fourth is the free space.
    set -- $(df -Pk "${binary%/*}" | tail -n 1)
    if [ "${4:-$need}" -lt "$need" ]; then words="it needs $need KiB" && not_written binary.unpack && finish 3; fi
    unpack_by_any
    chmod 0755 "$new"
    "$new" --version > /dev/null 2>&1 || { not_executable binary.unpack; finish 3; }
    put_in_place || { not_written binary.unpack; finish 3; }
fi
rm -f "$packed"
no_more
exec "$binary" enroll
