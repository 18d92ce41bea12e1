# Somebody opens the volume, writes a little and closes it, again and again, while it is detached. What he
# wrote before the map went is on the target; detach waits for him, and for the udev that probes after him.
# Keeps: D4, D7
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)

# Ends when the map is gone, or after some ten seconds.
write_on() {
  for ((i = 1; i <= 30; i++)); do
    printf '%-511s\n' "block $i" >/run/block
    dd if=/run/block of="$path" bs=512 seek=$i conv=notrunc,nocreat status=none || return 0
    cat /run/block >>/run/written
    sleep 0.2
  done
}
printf '%-511s\n' "block 0" | tee /run/written | dd of="$path" bs=512 conv=notrunc,nocreat status=none
write_on 2>/run/writer_errors &
writer=$!
wait_until 30 test -e /run/block
expect_exit 0 hawser detach --json --timeout 120 "$id"
check "it says that all was flushed" equal "$(field .flushed)" true
wait $writer || true
blocks=$(($(stat -c %s /run/written) / 512))
say "$blocks blocks were written before the map went"
check "they are on the target" cmp -n $((blocks * 512)) /run/written /dev/shm/volume.img
check "nothing is left" nothing_left
