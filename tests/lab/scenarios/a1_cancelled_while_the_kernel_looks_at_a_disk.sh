# The scan has returned, and the kernel still asks the unit that it has found for its size: an attach
# that is cancelled then leaves no disk that comes later.
# Keeps: A1
load sch_netem
make_storage 1
start_daemons udevd iscsid multipathd
foreign_session "$TARGET" 1  # Which stays, and its disks with it.
take_snapshot
ip netns exec tgt tc qdisc add dev t1 root netem delay 300ms
# What runs in the background of a script ignores SIGINT, unless told otherwise.
env --default-signal=INT "$HAWSER" attach --json --login-timeout 30 $(volume) >/run/attached 2>/dev/null &
pid=$!
is_being_looked_at() {
  local device
  for device in /sys/class/scsi_device/*:0:0:1/device; do
    [ -e "$device" ] && [ ! -e "$device/block" ] && return
  done
  return 1
}
until is_being_looked_at; do [ -d /proc/$pid ] || fail "the disk was there at once"; done
kill -INT $pid
status=0
wait $pid || status=$?
check "it was cancelled" equal "$status $(jq -r .error.code /run/attached)" "4 cancelled"
check "no disk is there" equal "$(inventory | grep '^device')" ""
sleep 5  # In which it would come.
check "nothing is left" nothing_left
