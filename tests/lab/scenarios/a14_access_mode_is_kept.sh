# access_mode ro: the device cannot be written to, be it a map, also when multipathd has loaded its own
# table, or a bare disk. rw on a unit that the target write-protects is an error that says so.
# Keeps: A14
# Labs: uml, qemu
make_storage 2
make_lun protected 16
make_target "$OTHER_TARGET"
echo 1 >"/sys/kernel/config/target/iscsi/$OTHER_TARGET/tpgt_1/attrib/demo_mode_write_protect"
add_lun "$OTHER_TARGET" 1 protected
start_daemons udevd iscsid multipathd
take_snapshot

spec() {
  printf '{"target_portals": ["10.0.1.2:3260", "10.0.2.2:3260"], "target_iqns": ["%s", "%s"],
    "target_luns": [1, 1], "access_mode": "%s"}' "$1" "$1" "$2" >/run/spec.json
}
cannot_be_written() { ! dd if=/dev/zero of="$1" bs=4k count=1 oflag=direct conv=notrunc status=none 2>/dev/null; }
can_be_read() { dd if="$1" of=/dev/null bs=4k count=1 iflag=direct status=none; }

spec "$TARGET" ro
expect_exit 0 hawser attach --json --spec /run/spec.json
cat /run/out
id=$(field .id) path=$(field .path)
check "it says so" equal "$(field .read_only)" true
check "the map says so" equal "$(<"/sys/block/${path#/dev/}/ro")" 1
check "a write fails" cannot_be_written "$path"
check "a read does not" can_be_read "$path"
check "multipathd has the map" wait_until 30 is_adopted "$path"
check "multipathd reloads it" equal "$(multipathd reload map "${path#/dev/}")" ok
check "after a reload by multipathd a write fails" cannot_be_written "$path"
check "nothing was written" is_untouched volume
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

spec "$TARGET" rw
expect_exit 0 hawser attach --json --spec /run/spec.json
write_pattern "$(field .path)" 1
check "the same volume can be written when it is asked for" read_pattern "$(field .path)"
expect_exit 0 hawser detach --json "$(field .id)"

spec "$OTHER_TARGET" rw
expect_exit 1 hawser attach --json --spec /run/spec.json
cat /run/out
check "rw on a protected unit is not permitted" equal "$(field .error.code)" permission_denied
check "it says why" grep -q 'exports the unit read-only' <<<"$(field .error.message)"
check "nothing is left" nothing_left
spec "$OTHER_TARGET" ro
expect_exit 0 hawser attach --json --spec /run/spec.json
check "ro is" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left

kill $multipathd_pid
wait_until 10 test ! -d /proc/$multipathd_pid
spec "$TARGET" ro
expect_exit 0 hawser attach --json --multipath off --spec /run/spec.json
path=$(field .path)
check "a bare disk cannot be written either" cannot_be_written "$path"
check "it can be read" can_be_read "$path"
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left
