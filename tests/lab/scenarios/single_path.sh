# Without multipath the result is a bare disk, and no map appears. The first portal is dead: what was
# tried there leaves nothing.
# Labs: uml, qemu
make_storage 2
start_daemons udevd iscsid
take_snapshot
portal_refuse 1

expect_exit 0 hawser attach --json --multipath off --login-timeout 4 $(volume)
check "the result is no map" equal "$(field .multipath)" false
check "it is a disk" grep -q '^/dev/sd' <<<"$(field .path)"
check "there is no map" test ! -e /sys/block/dm-0
check "there is one session" equal "$(ls /sys/class/iscsi_session | wc -l)" 1
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"

expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
