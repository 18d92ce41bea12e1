# Detaching what is not there is done already, and says so.
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
expect_exit 0 hawser detach --json "$id"
check "it is detached" equal "$(field .detached)" true
expect_exit 0 hawser detach "$id"
check "it says so" grep -q 'not attached' /run/out
expect_exit 0 hawser detach --json $(volume)
check "nothing is left" nothing_left
