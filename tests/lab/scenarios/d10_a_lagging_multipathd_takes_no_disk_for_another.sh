# A disk that is gone may still be there to udev, or only to multipathd, which udev tells. A new disk of
# the same name is then taken for it: no map of its unit is made over the new one, and the map of the
# new one's is not destroyed.
# Keeps: D10
make_storage 1
make_lun second 64
add_lun "$TARGET" 2 second
start_daemons udevd iscsid multipathd
take_snapshot
maps() { dmsetup info -c --noheadings -o uuid --select 'uuid=~^mpath-' | tr '\n' ' '; }
is_known() { multipathd show paths raw format '%d %w' | grep -q "^sda *$1"; }
has_map() { multipathd add path sda >/dev/null; [ "$(maps)" = "mpath-$other " ]; }
is_removed() { dmsetup remove -u "mpath-$other" 2>/dev/null; }  # udev may look at it.
has_let_go() { [[ $(multipathd show maps raw format '%w') != *$other* ]]; }  # It closes the disk then.

for who_lags in udev multipathd; do
  foreign_session "$TARGET" 1
  foreign_device 1
  other=3$(sed 's/^naa\.//' /sys/block/sda/device/wwid)
  echo "/$other/" >>/etc/multipath/wwids
  wait_until 20 has_map || fail "multipathd makes no map of the other volume"
  wait_until 20 test -e "/dev/disk/by-id/dm-uuid-mpath-$other"
  wait_until 20 is_removed
  wait_until 20 has_let_go
  kill -STOP "$udevd_pid"
  echo 1 >/sys/block/sda/device/delete
  iscsiadm -m session -r "$sid" --logout >/dev/null
  iscsiadm -m node -T "$TARGET" -o delete
  [ $who_lags = udev ] || rm /run/udev/data/b8:0
  check "multipathd knows the disk that is gone" is_known "$other"

  hawser attach --json --timeout 60 --target "$TARGET" --lun 2 --discovery off --portal 10.0.1.2:3260 >/run/out 2>/run/err &
  pid=$!
  wait_until 20 test -e /sys/block/sda
  end=$((SECONDS + 3))
  seen=''
  while [ "$SECONDS" -lt $end ]; do seen+=$(maps); nap; done
  kill -CONT "$udevd_pid"
  while [ -d /proc/$pid ]; do seen+=$(maps); nap; done
  wait $pid || { cat /run/out /run/err; fail "the volume was not attached"; }
  id=$(field .id) path=$(field .path)
  uuid=$(<"/sys/block/${path#/dev/}/dm/uuid")
  check "its disk has the name of the other" equal "$(field '.paths[0].device')" sda
  wait_until 30 is_known "${uuid#mpath-}" || fail "multipathd does not come to know it"
  sleep 2  # In which multipathd would destroy a map whose disk it takes for another's.
  seen+=$(maps)
  check "no map of the other's was made over it" equal "$(grep -o "$other" <<<"$seen")" ""
  check "its map is there" equal "$(cat "/sys/block/${path#/dev/}/dm/uuid")" "$uuid"
  write_pattern "$path" 4
  check "what was written is read back" read_pattern "$path"
  expect_exit 0 hawser detach --json "$id"
  sed -i "/$other/d" /etc/multipath/wwids
  check "nothing is left" nothing_left
done
