# SendTargets in process, and the sessions of the host with their counters.
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot
expect_exit 0 hawser discover --json --portal 10.0.1.2
check "the target is found" equal "$(field '.[0].target')" "$TARGET"
check "with both portals" equal "$(field '.[0].portals|sort|join(" ")')" "10.0.1.2:3260,1 10.0.2.2:3260,1"
check "no session was made" equal "$(ls /sys/class/iscsi_session | wc -l)" 0
portal_down 1
expect_exit 4 hawser discover --json --timeout 2 --portal 10.0.1.2
check "a silent portal meets the deadline" equal "$(field .error.code)" deadline_exceeded
portal_up 1
expect_exit 1 hawser discover --json --portal 10.0.1.2:3261
check "a refusing one is unavailable" equal "$(field .error.code)" unavailable

expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
write_pattern "$(field .path)" 4
expect_exit 0 hawser sessions --json
cat /run/out
check "two sessions are logged in" equal "$(field '[.[]|select(.state=="LOGGED_IN")]|length')" 2
check "their counters have the data that was written" test "$(field '[.[].counters.tx_bytes]|add')" -ge 4194304
# Without iscsid the kernel itself is asked, over netlink.
kill $iscsid_pid
wait_until 10 test ! -d /proc/$iscsid_pid
expect_exit 0 hawser sessions --json
check "so do the kernel's own" test "$(field '[.[].counters.tx_bytes]|add')" -ge 4194304
start_iscsid
wait_until 30 sh -c '[ "$(cat /sys/class/iscsi_session/*/state | grep -c LOGGED_IN)" = 2 ]'
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
