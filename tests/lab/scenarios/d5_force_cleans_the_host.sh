# By force the host is cleaned though no path answers: with a writer stuck in the kernel on a map that
# queues for ever, with an opener that does not let go, and for a bare device.
# Keeps: D5, D9
# Labs: uml, qemu
make_storage 2
start_daemons udevd iscsid
start_multipathd no "overrides {
  no_path_retry queue
}"
take_snapshot
queues() { [[ $(dmsetup table "$path") == *queue_if_no_path* ]]; }
both_ways() { portal_"$1" 1; portal_"$1" 2; }

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
check "the map queues" wait_until 30 queues
udevadm settle --timeout=60  # Else the last to close may be a probe of udev's.
both_ways down
dd if=/dev/zero of="$path" bs=1M count=4 conv=notrunc status=none &
writer=$!
is_stuck() { [[ $(</proc/$writer/status) == *State:*D\ \(* ]]; }
check "the writer is stuck in the kernel" wait_until 20 is_stuck
start=$SECONDS
expect_exit 0 hawser detach --json --force --timeout 60 "$id"
cat /run/out
check "it did not take its whole time" at_most $((SECONDS - start)) $((45 * LAB_SLOWNESS))
check "it was not flushed" equal "$(field .flushed)" false
check "it says that data was at risk" equal "$(field .data_at_risk)" true
check "nothing is said to be left" equal "$(field '.leftovers|length')" 0
wait $writer || true
check "nothing is left" nothing_left
both_ways up

say "an opener that stays"
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
check "the map queues" wait_until 30 queues
exec 9<"$path"
both_ways down
expect_exit 2 hawser detach --json --force --timeout 60 "$id"
cat /run/out
check "the map is named as left" grep -q 'map mpath-' <<<"$(field '.leftovers[]')"
check "with who has it open" grep -q "(pid $BASHPID)" <<<"$(field '.leftovers[]')"
check "no device is left" sh -c '! ls -d /sys/block/sd*'
check "no session is left" sh -c '! ls /sys/class/iscsi_session | grep .'
expect_exit 0 hawser detach --json --force --ignore-errors --timeout 60 "$id"
check "errors are warnings when they are to be ignored" grep -q 'map mpath-' <<<"$(field '.warnings[]')"
both_ways up
expect_exit 2 hawser attach --json --timeout 30 $(volume)
check "meanwhile it is not attached anew" grep -q 'map mpath-' <<<"$(field .error.message)"
exec 9<&-
map_is_gone() { [ ! -e "/sys/block/${path#/dev/}" ]; }
check "the map goes with its opener" wait_until 20 map_is_gone
expect_exit 0 hawser recover --json
check "recover completes it" equal "$(field '.completed[0]')" "$id"
check "nothing is left" nothing_left

say "a bare device"
multipathd_stops() { kill $multipathd_pid && wait_until 20 test ! -d /proc/$multipathd_pid; }
multipathd_stops
expect_exit 0 hawser attach --json --multipath off $(volume)
id=$(field .id) path=$(field .path)
exec 9<"$path"
both_ways down
expect_exit 0 hawser detach --json --force --timeout 60 "$id"
cat /run/out
check "it says that data was at risk" equal "$(field .data_at_risk)" true
exec 9<&-
check "nothing is left" nothing_left
