# Every path is lost with dirty pages over a map that queues, and the writer is killed in its close:
# detach stops by its deadline and removes nothing, and when the paths are back every byte arrives.
# Keeps: D4, D6
make_storage 2
start_daemons udevd iscsid
start_multipathd no "overrides {
  no_path_retry queue
}"
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
queues() { [[ $(dmsetup table "$path") == *queue_if_no_path* ]]; }
check "the map queues" wait_until 30 queues
udevadm settle --timeout=60  # Else the last to close may be a probe of udev's.

portal_down 1
portal_down 2
head -c 8M /dev/urandom >/run/pattern
dd if=/run/pattern of="$path" bs=1M conv=notrunc status=none &
writer=$!
is_stuck() { [[ $(</proc/$writer/status) == *State:*D\ \(* ]]; }
check "the writer is stuck in the kernel" wait_until 20 is_stuck
kill -KILL $writer

start=$SECONDS
expect_exit 3 hawser detach --json --timeout 15 "$id"
cat /run/out
check "it stopped by its deadline" at_most $((SECONDS - start)) 45  # And not when the paths are back.
check "it says that data is at risk" equal "$(field .error.data_at_risk)" true
check "it says that no path answers" grep -q 'no path answers' <<<"$(field .error.message)"
check "it says who has it open" grep -q "is in use: " <<<"$(field .error.message)"
check "the map is there" test -e "/sys/block/${path#/dev/}"
check "both devices are there" equal "$(ls -d /sys/block/sd* | wc -l)" 2
check "both sessions are there" equal "$(ls /sys/class/iscsi_session | wc -l)" 2
check "nothing has arrived yet" sh -c '! cmp -s -n 8388608 /run/pattern /dev/shm/volume.img'

# Started while no path answers; they come back meanwhile.
hawser detach --json --timeout 120 "$id" >/run/detached 2>/run/err &
detach=$!
sleep 3
portal_up 1
portal_up 2
wait $detach || { cat /run/detached /run/err; fail "detach failed though the paths came back"; }
check "it was flushed" equal "$(field .flushed /run/detached)" true
check "every byte is on the target" cmp -n 8388608 /run/pattern /dev/shm/volume.img
check "nothing is left" nothing_left
