# Every path is held against the others, against what was expected, and against what else is on the
# host: a path that shows another unit is refused, and so is a second unit with the WWID of the first,
# whether or not anything tells the two apart. Detach leaves the other's map and device alone.
# Keeps: A6, D10
CLONE_TARGET=iqn.2026-11.org.example:clone
make_portals 2
make_lun volume 16
make_lun twin 16 "$(serial_of volume)x"  # The same NAA designator, another serial number.
make_lun clone 16 "$(serial_of volume)"  # The same in all that it says.
make_target "$TARGET"
add_lun "$TARGET" 1 volume
make_target "$OTHER_TARGET"
add_lun "$OTHER_TARGET" 1 twin
make_target "$CLONE_TARGET"
add_lun "$CLONE_TARGET" 1 clone
start_daemons udevd iscsid
load_multipath
take_snapshot

cat >/run/spec.json <<JSON
{"target_portals": ["10.0.1.2:3260", "10.0.2.2:3260"], "target_luns": [1, 1],
 "target_iqns": ["$TARGET", "$OTHER_TARGET"], "expected_wwid": "$(wwid_of volume)"}
JSON
expect_exit 0 hawser attach --json --spec /run/spec.json
good=$(field '.paths[]|select(.state=="active")|.target')
bad=$(field '.paths[]|select(.error!=null)|"\(.target) \(.error.code)"')
say "taken: $good; refused: $bad"
# Which of the two is first is not said: they show the same WWID.
check "one path is used" equal "$(field '[.paths[]|select(.state=="active")]|length')" 1
check "the other is refused" grep -q identity_mismatch <<<"$bad"
check "its session is gone" equal "$(ls /sys/class/iscsi_session | wc -l)" 1
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left

expect_exit 1 hawser attach --json --expect-wwid "$(wwid_of other)" $(volume)
check "a unit that was not expected is refused" equal "$(field .error.code)" identity_mismatch
check "nothing is left" nothing_left

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
take_snapshot
for other in "$OTHER_TARGET" "$CLONE_TARGET"; do
  for multipath in preferred off; do
    expect_exit 1 hawser attach --json --multipath $multipath --target "$other" --lun 1 --discovery off --portal 10.0.1.2
    check "a second unit of that WWID is refused ($multipath)" equal "$(field .error.code)" identity_mismatch
  done
done
check "the first is as before" nothing_left
write_pattern "$path" 4
check "and works" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "nothing reached the others" is_untouched twin
check "nothing reached the clone" is_untouched clone

# Somebody else has a map over the clone.
foreign_session "$CLONE_TARGET" 1
foreign_device 1
echo "0 32768 multipath 0 0 1 1 service-time 0 1 1 /dev/$disk 1" |
  dmsetup create --noudevsync theirs -u "mpath-$(wwid_of volume)"
wait_until 30 test -L "/dev/disk/by-id/dm-uuid-mpath-$(wwid_of volume)" || fail "udev made no link"
take_snapshot
expect_exit 1 hawser attach --json $(volume 1)
check "its map is not joined" equal "$(field .error.code)" identity_mismatch
check "their map is as before" nothing_left
expect_exit 0 hawser attach --json --multipath off $(volume 1)
expect_exit 0 hawser detach --json "$(field .id)"
check "their map and device are as before" nothing_left
check "nothing reached the clone" is_untouched clone
