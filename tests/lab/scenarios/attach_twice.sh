# Attaching what is attached gives the same attachment, also when both come at once.
make_storage
start_daemons udevd iscsid multipathd
take_snapshot

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
expect_exit 0 hawser attach --json $(volume)
check "it is the same attachment" equal "$(field .id) $(field .path)" "$id $path"
check "a warning says so" grep -q already <<<"$(field '.warnings[]')"
check "there are four sessions" equal "$(ls /sys/class/iscsi_session | wc -l)" 4
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

hawser attach --json $(volume) >/run/out1 2>&1 &
first=$!
hawser attach --json $(volume) >/run/out2 2>&1 &
second=$!
wait $first || { cat /run/out1; fail "the first of two at once failed"; }
wait $second || { cat /run/out2; fail "the second of two at once failed"; }
check "both have the same device" equal "$(field .path /run/out1)" "$(field .path /run/out2)"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
