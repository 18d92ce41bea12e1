# multipathd may be behind with what udev tells it of disks that are gone: a new disk is then, to
# multipathd, the one that had its name before. No map of that one's unit is made over it.
# Keeps: D10
make_storage 1
make_lun second 64
add_lun "$TARGET" 2 second
start_daemons udevd iscsid multipathd
take_snapshot
maps() { dmsetup info -c --noheadings -o uuid --select 'uuid=~^mpath-' | tr '\n' ' '; }
is_known() { multipathd show paths raw format '%d %w' | grep -q "^sda *$other"; }
has_map() { multipathd add path sda >/dev/null; [ "$(maps)" = "mpath-$other " ]; }

foreign_session "$TARGET" 1
foreign_device 1
other=3$(sed 's/^naa\.//' /sys/block/sda/device/wwid)
echo "/$other/" >>/etc/multipath/wwids
wait_until 20 has_map || fail "multipathd makes no map of the other volume"
wait_until 20 test -e "/dev/disk/by-id/dm-uuid-mpath-$other"
is_removed() { dmsetup remove -u "mpath-$other" 2>/dev/null; }  # udev may look at it.
wait_until 20 is_removed
has_let_go() { [[ $(multipathd show maps raw format '%w') != *$other* ]]; }  # It closes the disk then.
wait_until 20 has_let_go
kill -STOP "$udevd_pid"
echo 1 >/sys/block/sda/device/delete
iscsiadm -m session -r "$sid" --logout >/dev/null
iscsiadm -m node -T "$TARGET" -o delete
rm /run/udev/data/b8:0  # It has forgotten the disk, and multipathd has not heard of that yet.
check "multipathd knows the disk that is gone" is_known

hawser attach --json --timeout 60 --target "$TARGET" --lun 2 --discovery off --portal 10.0.1.2:3260 >/run/out 2>/run/err &
pid=$!
seen=''
while [ -d /proc/$pid ]; do seen+=$(maps); nap; done
wait $pid || { cat /run/out /run/err; fail "the volume was not attached"; }
id=$(field .id) path=$(field .path)
check "its disk has the name of the other" equal "$(field '.paths[0].device')" sda
check "no map of the other's was made over it" equal "$(grep -o "$other" <<<"$seen")" ""
kill -CONT "$udevd_pid"
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
sed -i "/$other/d" /etc/multipath/wwids
check "nothing is left" nothing_left
