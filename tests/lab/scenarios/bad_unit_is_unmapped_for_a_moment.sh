# A unit that the target does not show for a moment is usable when it is back, whatever was asked of
# hawser meanwhile; and where somebody else's rescan has the kernel think that it is empty, a join
# makes it usable again.
# Keeps: D4, H1
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot
sizes() { cat /sys/block/sd*/size | sort -u | tr '\n' ' '; }

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "both paths are there" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
remove_lun "$TARGET" 1
expect_exit 0 hawser attach --json --timeout 30 $(volume)
check "an attach meanwhile finds it attached" equal "$(field .status)" attached
expect_exit 1 hawser resize --json --timeout 30 "$id"
check "no path answers a resize" grep -q 'no path answers' <<<"$(field .error.message)"
check "the disks have their size" equal "$(sizes)" "131072 "
remap_lun "$TARGET" 1 volume
is_readable() { timeout 10 dd if="$path" of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null; }
wait_until 60 is_readable || fail "it cannot be used again"
check "what was written is read back" read_pattern "$path"

remove_lun "$TARGET" 1
for rescan in /sys/block/sd*/device/rescan; do echo 1 >"$rescan"; done
remap_lun "$TARGET" 1 volume
check "the kernel thinks that it is empty" equal "$(sizes)" "0 "
expect_exit 0 hawser show --json --join "$id"
check "the disks have their size again" equal "$(sizes)" "131072 "
wait_until 60 is_readable || fail "it cannot be used after the join"
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
