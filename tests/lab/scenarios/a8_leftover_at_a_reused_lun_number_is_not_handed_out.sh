# The LUN number of the volume was another unit's before, or becomes another's while the volume is
# attached: nothing of the other unit is ever handed out or written to.
# Keeps: A8, D10
# Labs: uml, qemu
make_portals 2
make_lun earlier 16
make_lun volume 16
make_lun later 16
make_target "$TARGET"
add_lun "$TARGET" 1 earlier
start_daemons udevd iscsid
load_multipath
state_of_code() { field '"\(.error.code) \(.error.data_at_risk)"'; }

# A device that somebody left behind on a session that is still there.
foreign_session "$TARGET" 1
foreign_device 1
remap_lun "$TARGET" 1 volume

expect_exit 0 hawser attach --json $(volume)
cat /run/out
id=$(field .id) path=$(field .path)
check "it is the volume that is handed out" equal "$(field .scsi_wwn)" "$(wwid_of volume)"
check "both paths lead to it" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
check "a warning tells of the leftover" grep -q 'was there before' <<<"$(field '.warnings[]')"
write_pattern "$path" 4
check "what was written is in the volume" cmp -n 4194304 /run/pattern /dev/shm/volume.img
check "and not in the other" is_untouched earlier

# The target gives the number to yet another unit under our feet.
remap_lun "$TARGET" 1 later
expect_exit 1 hawser attach --json $(volume)
check "it is not handed out again" equal "$(field .error.code)" identity_mismatch
expect_exit 3 hawser detach --json --timeout 20 "$id"
check "detach stops: data is at risk" equal "$(state_of_code)" "data_at_risk true"
remap_lun "$TARGET" 1 volume
expect_exit 0 hawser detach --json "$id"
check "once the volume is back it is flushed" equal "$(field .flushed)" true

expect_exit 0 hawser attach --json $(volume)
remap_lun "$TARGET" 1 later
expect_exit 0 hawser detach --json --force "$id"
cat /run/out
check "force says that nothing was flushed" equal "$(field .flushed)" false
check "nothing was written to the other unit by us" is_untouched later
all_gone() { [ -z "$(inventory | grep -E '^(map|device|link|log)')" ]; }
check "there is no map and no device" wait_until 20 all_gone

# A leftover that somebody uses stays, and with one portal there is no other way.
make_target "$OTHER_TARGET"
add_lun "$OTHER_TARGET" 1 earlier
foreign_session "$OTHER_TARGET" 1
foreign_device 1
echo "0 1024 linear /dev/$disk 0" | dmsetup create --noudevsync theirs
remap_lun "$OTHER_TARGET" 1 volume
take_snapshot
expect_exit 1 hawser attach --json --target "$OTHER_TARGET" --lun 1 --discovery off --portal 10.0.1.2
check "a leftover in use is refused: busy" equal "$(field .error.code)" busy
check "its user is named" grep -q 'used by dm-0' <<<"$(field .error.message)"
check "all is as before" nothing_left
