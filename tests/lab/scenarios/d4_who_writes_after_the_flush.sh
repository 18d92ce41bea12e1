# Somebody opens the volume when it was flushed already, and before its map is removed: he is waited for, and
# what he has written is flushed again.
# Keeps: D4, D7
make_storage 2
start_daemons udevd iscsid multipathd
hook=/mnt/build/tests/lab/libcrash_at_record.so
[ -e "$hook" ] || fail "there is no $hook"
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
write_pattern "$path" 8
udevadm settle --timeout=60

# The second change of the log says that all is flushed.
LD_PRELOAD=$hook HAWSER_CRASH=stop:2 "$HAWSER" --json --log-level info detach --timeout 120 "$id" \
  >/run/detached 2>/run/told &
detach=$!
wait_until 60 grep -q 'stopped after 2: done flush' /run/told
stopped=$(sed -n 's/.*process \([0-9]*\) stopped after.*/\1/p' /run/told)
exec 9<>"$path"
head -c 4096 /dev/urandom | tee /run/late >&9
kill -CONT "$stopped"
is_waiting() { grep -q "waiting until nobody has ${path#/dev/} open" /run/told; }
check "he is waited for" wait_until 60 is_waiting
check "and what he writes on" test -e "/sys/block/${path#/dev/}"
exec 9>&-
wait $detach || fail "detach ended with $?: $(cat /run/told)"
check "it says that all was flushed" equal "$(field .flushed /run/detached)" true
check "it was flushed twice" equal "$(grep -c 'flushing ' /run/told)" 2
check "what he wrote is on the target" cmp -n 4096 /run/late /dev/shm/volume.img
check "nothing is left" nothing_left
