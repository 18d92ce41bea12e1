# Every path is lost under a buffered write to a map that does not queue: the kernel drops the data at
# the writer's close and tells nobody. Detach hears of it, and stops before it removes anything.
# Keeps: D4
make_storage 2
start_daemons udevd iscsid
start_multipathd no "overrides {
  no_path_retry fail
}"
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
check "multipathd has the map" wait_until 30 is_adopted "$path"
does_not_queue() { [[ $(dmsetup table "$path") != *queue_if_no_path* ]]; }
check "the map does not queue" does_not_queue

active() { hawser show --json "$id" >/run/shown && [ "$(field '[.paths[]|select(.state=="active")]|length' /run/shown)" -eq 2 ]; }
both() { "portal_$1" 1; "portal_$1" 2; }
# The pattern is what is lost.
lose_writes() {
  udevadm settle --timeout=30  # Who closes last is the writer then, and his data goes with the close.
  both down
  head -c 8M /dev/urandom >/run/pattern
  dd if=/run/pattern of="$path" bs=1M conv=notrunc status=none || true
  say "the writer has closed"
}
refused() {
  expect_exit 3 hawser detach --json --timeout 60 "$id"
  cat /run/out
  check "it says that writes were lost" grep -q 'writes were lost' <<<"$(field '.error.message')"
  check "they are: the target has none of it" sh -c '! cmp -s -n 1048576 /run/pattern /dev/shm/volume.img'
}

lose_writes
both up
check "both paths come back" wait_until 60 active
refused
check "both paths are still used" active

say "and without a path"
lose_writes
start=$SECONDS
refused
check "it says so at once" at_most $((SECONDS - start)) 30
both up
check "both paths come back" wait_until 60 active

write_pattern "$path" 8
check "the volume works" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "it was flushed" equal "$(field .flushed)" true
check "what was lost before is not forgotten" grep -q 'writes were lost' <<<"$(field '.warnings[]')"
check "what was written anew is on the target" cmp -n 8388608 /run/pattern /dev/shm/volume.img
check "nothing is left" nothing_left
