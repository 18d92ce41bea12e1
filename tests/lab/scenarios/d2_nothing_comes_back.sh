# All devices of the volume go: also one that came through a session of somebody else's after attach.
# And with a multipathd that makes maps anew at every moment, none is there when detach is done. The
# session that somebody else made stays, and so do his node records.
# Keeps: D2, D8
make_storage 3
start_daemons udevd iscsid multipathd
iscsiadm -m discovery -t sendtargets -p 10.0.3.2 >/dev/null
iscsiadm -m node -T "$TARGET" -p 10.0.3.2 --op update -n node.session.scan -v manual
iscsiadm -m node -T "$TARGET" -p 10.0.3.2 --login >/dev/null
sid=$(iscsiadm -m session | sed -n "s/.*\[\([0-9]*\)\].*10.0.3.2.*/\1/p")
host=$(basename "$(readlink -f /sys/class/iscsi_session/session$sid/device/..)")
take_snapshot
paths() { ls "/sys/block/${path#/dev/}/slaves" | wc -l; }
all_in() { [ "$(paths)" -eq 3 ]; }
# unknown_to_multipathd DISK...: they are not among its paths.
unknown_to_multipathd() {
  local known disk
  known=$(multipathd show paths raw format '%d') || return 1
  for disk in "$@"; do ! grep -x "$disk *" <<<"$known" || return 1; done
}
# A multipathd that is behind with the uevents of the attach may be the first to make it, and take it away again.
is_made() { dmsetup create back --uuid "$uuid" --table "0 2048 error" "$@" || grep -xF "$uuid" /sys/block/dm-*/dm/uuid; }
make_again() { wait_until 10 is_made "$@"; }

# udev_is_late MODE: a detach waits for it, and sees a map that is made again meanwhile.
udev_is_late() {
  expect_exit 0 hawser attach --json --multipath $1 $(volume 2)
  say "udev is late ($1)"
  kill -STOP $udevd_pid
  "$HAWSER" detach --json --log-level info "$(field .id)" >/run/detached 2>/run/late &
  detach=$!
  check "all was removed" wait_until 20 grep -q 'logging out' /run/late
  for ((n = 0; n < 10; n++)); do nap; done
  check "it waits for udev" test -d /proc/$detach
  if [ $1 = preferred ]; then
    make_again --noudevsync
    check "it was seen" wait_until 20 grep -q 'came back' /run/late
  fi
  kill -CONT $udevd_pid
  wait $detach
  check "it is detached" equal "$(field .detached /run/detached)" true
  check "nothing is left" nothing_left
}

for mode in preferred off; do
  expect_exit 0 hawser attach --json --multipath $mode --login-timeout 10 $(volume 2)
  id=$(field .id) path=$(field .path)
  say "a device that attach does not know ($mode)"
  echo "0 0 1" >/sys/class/scsi_host/$host/scan
  if [ $mode = preferred ]; then
    check "it is in the map" wait_until 30 all_in
  else
    check "it is there" wait_until 30 sh -c '[ $(ls -d /sys/block/sd* | wc -l) = 2 ]'
  fi
  numbers=$(cat /sys/block/sd*/dev)
  disks=$(cd /sys/block && echo sd*)
  expect_exit 0 hawser detach --json "$id"
  # In the other mode it does not run.
  [ $mode = off ] || check "multipathd shows none of $disks any more" unknown_to_multipathd $disks
  for number in $numbers; do
    check "udev says nothing of $number any more" test ! -e "/run/udev/data/b$number"
  done
  check "nothing is left but the other's session" nothing_left
  if [ $mode = preferred ]; then
    # In the other mode multipathd would claim the device.
    expect_exit 0 hawser attach --json $(volume 2)
    id=$(field .id)
    say "multipathd makes what it makes at every moment"
    : >/run/again
    while [ -e /run/again ]; do multipathd reconfigure; nap; done >/dev/null 2>&1 &
    again=$!
    expect_exit 0 hawser detach --json "$id"
    inventory >/run/at_once
    rm /run/again
    wait $again
    check "at the very moment no map and no device is there" sh -c '! grep -E "^(map|device) " /run/at_once'
    check "nothing is left" nothing_left

    expect_exit 0 hawser attach --json $(volume 2)
    id=$(field .id) path=$(field .path)
    uuid=$(<"/sys/block/${path#/dev/}/dm/uuid")
    say "the map is made again while the devices go"
    mkfifo /run/events.pipe
    "$HAWSER" detach --json --log-level info "$id" >/run/out 2>/run/events.pipe &
    detach=$!
    # It is held as soon as a device goes until the map is there.
    worker=''
    while read -r line; do
      [ -n "$worker" ] || find_worker $detach
      if [[ $line == *"removing sd"* && ! -e /run/made ]]; then
        kill -STOP $worker
        : >/run/made
        make_again
        kill -CONT $worker
      fi
      echo "$line" >>/run/events
    done </run/events.pipe
    wait $detach
    inventory >/run/at_once
    check "it was seen" wait_until 10 grep -q 'came back' /run/events
    check "at the very moment no map and no device is there" sh -c '! grep -E "^(map|device) " /run/at_once'
    check "nothing is left" nothing_left

    udev_is_late preferred

    expect_exit 0 hawser attach --json $(volume 2)
    id=$(field .id)
    say "multipathd does not answer for a while, as when it starts"
    kill -STOP $multipathd_pid
    "$HAWSER" detach --json --log-level info "$id" >/run/out 2>/run/late &
    detach=$!
    check "the devices are removed" wait_until 20 grep -q 'removing sd' /run/late
    for ((n = 0; n < 35; n++)); do nap; done
    check "it waits for multipathd" test -d /proc/$detach
    check "which still has the WWID" grep "$(wwid_of volume)" /etc/multipath/wwids
    kill -CONT $multipathd_pid
    wait $detach
    check "it is detached" equal "$(field .detached)" true
    check "nothing is left" nothing_left
    kill $multipathd_pid
    wait_until 20 test ! -d /proc/$multipathd_pid
  fi
done

# A multipathd, which hears of all from udev, would be waited for as well.
udev_is_late preferred
udev_is_late off
