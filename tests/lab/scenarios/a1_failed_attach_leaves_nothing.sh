# An attach that fails, is stopped by a signal or meets its deadline leaves nothing: in whichever step,
# the last one too, with multipath and without.
# Keeps: A1
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot

# interrupted SIGNAL "condition" ARGUMENTS...: starts an attach, and sends it the signal once the
# condition holds.
interrupted() {
  local signal=$1 condition=$2 status=0
  shift 2
  # What runs in the background of a script ignores SIGINT, unless told otherwise.
  env --default-signal=INT "$HAWSER" attach --json "$@" >/run/out 2>/run/err &
  local pid=$!
  wait_until 30 eval "$condition" || fail "never: $condition"
  kill "-$signal" $pid
  wait $pid || status=$?
  [ $status -eq 4 ] || { cat /run/out /run/err; fail "exit status $status instead of 4"; }
  check "the error says so" equal "$(field .error.code)" cancelled
}
has_session() { [ -e /sys/class/iscsi_session/session* ]; }
has_device() { [ -e /sys/block/sd* ]; }
has_map() { [ -e /sys/block/dm-0 ]; }
has_log() { [ -e "$STATE"/*.log ]; }

portal_down 2
wanted="--min-paths 2 --login-timeout 3 --node-record"
interrupted INT has_log $wanted $(volume)
check "SIGINT at the beginning: nothing is left" nothing_left
interrupted TERM has_session $wanted $(volume)
check "SIGTERM after a login: nothing is left" nothing_left
interrupted INT has_map $wanted $(volume)
check "SIGINT with a map: nothing is left" nothing_left
expect_exit 4 hawser attach --json --timeout 4 --login-tries 9 $wanted $(volume)
check "the deadline: nothing is left" nothing_left
expect_exit 1 hawser attach --json $wanted $(volume)
check "too few paths: nothing is left" nothing_left

# Without multipath: the first portal swallows everything, the second is good.
swapped="--target $TARGET --lun 1 --portal 10.0.2.2 --portal 10.0.1.2"
interrupted TERM has_log --multipath off --login-timeout 3 $swapped
check "off, SIGTERM during the first login: nothing is left" nothing_left
interrupted INT has_device --multipath off --login-timeout 2 $swapped
check "off, SIGINT with a device: nothing is left" nothing_left
retried="--node-record --multipath off --discovery off --login-timeout 2 --login-tries 9"
expect_exit 4 hawser attach --json --timeout 4 $retried --target "$TARGET" --lun 1 --portal 10.0.2.2
check "off, the deadline: nothing is left" nothing_left
expect_exit 0 hawser attach --json --timeout 20 $retried $swapped
expect_exit 0 hawser detach --json "$(field .id)"
check "off, the second portal has had half of the time: nothing is left" nothing_left
portal_up 2

# With udev asleep the last wait is the one for the map's link.
pid_of_udevd=$(cat /proc/[0-9]*/stat 2>/dev/null | sed -n 's/^\([0-9]*\) (systemd-udevd).*/\1/p' | head -n 1)
kill -STOP "$pid_of_udevd"
interrupted TERM has_map $(volume)
kill -CONT "$pid_of_udevd"
check "SIGTERM in the last wait: nothing is left" nothing_left

# limited BYTES ARGUMENTS...: hawser that can write no file longer than that.
limited() {
  local bytes=$1
  shift
  (trap '' XFSZ && exec prlimit --fsize="$bytes" "$HAWSER" "$@") 2>&1 | cat
  return ${PIPESTATUS[0]}
}
# The log cannot be written any more: at its beginning, in the middle, and at the commit.
for how in preferred off; do
  expect_exit 0 hawser attach --json --multipath $how $(volume)
  id=$(field .id)
  size=$(stat -c %s "$STATE/$id.log")
  expect_exit 0 hawser detach --json "$id"
  check "$how: nothing is left" nothing_left
  for bytes in 100 $((size / 2)) $((size - 40)); do
    expect_exit 1 limited $bytes attach --json --multipath $how $(volume)
    check "$how, the log ends at $bytes of $size bytes: it says so" equal "$(field .error.stage)" journal
    check "$how, the log ends at $bytes of $size bytes: nothing is left" nothing_left
  done
done
