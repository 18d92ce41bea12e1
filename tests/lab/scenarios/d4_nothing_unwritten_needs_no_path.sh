# Whoever closes a volume last waits for what he has written. So when it is closed and its paths are lost,
# whatever its map does with I/O, or when the target does not show it any more, there is nothing to be kept:
# it is detached, and a warning says that no path was asked.
# Keeps: D4
make_storage 2
start_daemons udevd iscsid
take_snapshot
both() { "portal_$1" 1; "portal_$1" 2; }
does() { [[ "$(dmsetup table "$path")" == *queue_if_no_path* ]] && echo queue || echo fail; }

# attached POLICY: written to and closed, and udev has looked at it.
attached() {
  start_multipathd no "overrides {
  no_path_retry $1
}"
  expect_exit 0 hawser attach --json $(volume)
  id=$(field .id) path=$(field .path)
  adopted() { is_adopted "$path" && [ "$(does)" = "$1" ]; }
  check "multipathd has the map, which would $1" wait_until 30 adopted "$1"
  write_pattern "$path" 4
  udevadm settle --timeout=60
}
detached() {
  local start=$SECONDS
  expect_exit 0 hawser detach --json --timeout 120 "$id"
  cat /run/out
  say "it took $((SECONDS - start)) s"
  check "no data was at risk" equal "$(field .data_at_risk)" false
  check "it says that no path answers" grep -q 'no path answers' <<<"$(field '.warnings[]')"
  check "what was written is on the target" cmp -n 4194304 /run/pattern /dev/shm/volume.img
  check "nothing is left" nothing_left
  kill $multipathd_pid
  wait_until 20 test ! -d /proc/$multipathd_pid
}

# udev_queue stop|start: udevd 257 drops the message when it comes before udevd has asked for its sender's uid.
dropped() { grep -c 'Invalid sender uid' /mnt/results/udevd.log || true; }
is_told() {
  local before
  before=$(dropped)
  udevadm control "--$1-exec-queue" && nap && [ "$(dropped)" -eq "$before" ]
}
udev_queue() { wait_until 10 is_told "$1"; }

for policy in queue fail; do
  say "the paths are lost"
  attached $policy
  both down
  detached
  both up
done

say "the unit is not shown any more"
attached queue
remove_lun "$TARGET" 1
detached
add_lun "$TARGET" 1 volume

say "the map is open under a partition map, so that a close writes nothing"
attached fail
echo 60000 | tee /proc/sys/vm/dirty_{expire,writeback}_centisecs  # Nor does the kernel by itself.
dmsetup create part --uuid "part1-$(<"/sys/block/${path#/dev/}/dm/uuid")" --table "0 2048 linear $path 0"
udevadm settle --timeout=60
udev_queue stop  # It would look at what was written to.
both down
head -c 4M /dev/urandom >/run/pattern
dd if=/run/pattern of="$path" bs=1M conv=notrunc status=none
expect_exit 3 hawser detach --json --timeout 15 "$id"
check "it is refused" grep -q 'no path of .* answers' <<<"$(field .error.message)"
both up
hawser detach --json --log-level info --timeout 120 "$id" >/run/out 2>/run/told &
detach=$!
# No sooner: the kernel would write what udev looks at to a map whose paths are not back yet.
check "it is flushed" wait_until 60 grep -q 'removing map' /run/told
udev_queue start
wait $detach || { cat /run/out /run/told; fail "detach ended with $?"; }
check "what was written is on the target" cmp -n 4194304 /run/pattern /dev/shm/volume.img
check "nothing is left" nothing_left
kill $multipathd_pid
wait_until 20 test ! -d /proc/$multipathd_pid

say "somebody has it open"
attached queue
exec 9<"$path"
both down
expect_exit 3 hawser detach --json --timeout 15 "$id"
check "then it is refused" grep -q 'is in use' <<<"$(field .error.message)"
check "the map is there" test -e "/sys/block/${path#/dev/}"
exec 9<&-
detached
both up
