# All paths are gone with data unwritten: detach stops, nothing is removed, and when the paths are back
# the data is there.
# Labs: uml, qemu
make_storage 2
start_daemons udevd iscsid
load_multipath
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
portal_down 1
portal_down 2
expect_exit 3 hawser detach --json --timeout 20 "$id"
check "it says that data is at risk" equal "$(field .error.data_at_risk)" true
check "the map is still there" test -e "/sys/block/${path#/dev/}"
portal_up 1
portal_up 2
wait_until 60 sh -c '[ "$(cat /sys/class/iscsi_session/*/state | grep -c LOGGED_IN)" = 2 ]'
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
