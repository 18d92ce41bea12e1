# Hosts that are not fit: each gets its exit status, and a message that says what to do.
# Keeps: A3
make_portals 1
make_lun volume 16
make_target "$TARGET"
add_lun "$TARGET" 1 volume
start_udevd
take_snapshot

expect_exit 1 hawser attach $(volume)
check "no iscsid: it says to start it" grep -q 'start iscsid' /run/err
start_iscsid

# Without the module, and without a way for the kernel to load it.
echo /bin/false >/proc/sys/kernel/modprobe
expect_exit 1 hawser attach --multipath required $(volume)
check "no multipath, and it is required: it says what to load" grep -q dm_multipath /run/err
expect_exit 0 hawser attach --json --log-level warning $(volume)
check "no multipath, and it is preferred: it is a bare disk" grep -q '^/dev/sd' <<<"$(field .path)"
check "the result says what to load, and what that means" \
  grep -q 'dm_multipath: a single bare device is used, with reduced performance and safety' <<<"$(field '.warnings[]')"
check "so does the log" grep -q 'dm_multipath.*reduced performance and safety' /run/err
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left
echo /run/modprobe >/proc/sys/kernel/modprobe

expect_exit 77 setpriv --reuid 65534 --regid 65534 --clear-groups "$HAWSER" attach --state-dir /tmp/mine $(volume)
check "no root: it says so" grep -q root /run/err

mkdir -p /tmp/real
ln -s /tmp/real /tmp/link
expect_exit 77 hawser list --state-dir /tmp/link
check "a state directory that is a link: it says so" grep -q 'symbolic link' /run/err
chmod 777 /tmp/real
expect_exit 77 hawser list --state-dir /tmp/real
check "a state directory that others can write: it says what to do" grep -q 'chmod 0700' /run/err

expect_exit 1 hawser attach --json --login-timeout 2 --timeout 20 --target "$TARGET" --portal 10.0.1.2:3260 --lun 9
check "a LUN that is not there: it says so" grep -q 'no LUN 9' <<<"$(field .error.message)"
expect_exit 1 hawser attach --json --login-timeout 2 --timeout 20 --target "$TARGET.not-there" --portal 10.0.1.2:3260 --lun 1
check "nothing is left" nothing_left
