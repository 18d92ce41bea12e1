# All paths are gone, and a target with a volatile cache was not told to empty it: detach stops, nothing is
# removed, and when the paths are back it is flushed.
# Keeps: D4, D6
# Labs: uml, qemu
make_storage 2
echo 1 >/sys/kernel/config/target/core/fileio_0/volume/attrib/emulate_write_cache
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
tries=$(field .error.message | sed -n 's/.*, after \([0-9]*\) tries.*/\1/p')
check "it tried again" test "${tries:-1}" -ge 4
check "more and more seldom" at_most "$tries" $((15 * LAB_SLOWNESS))
check "the map is still there" test -e "/sys/block/${path#/dev/}"
portal_up 1
portal_up 2
wait_until 60 sh -c '[ "$(cat /sys/class/iscsi_session/*/state | grep -c LOGGED_IN)" = 2 ]'
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
