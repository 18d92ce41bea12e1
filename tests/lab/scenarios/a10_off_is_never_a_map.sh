# Without multipath the result stays a bare disk, whatever multipathd makes of it and however late: a
# map that it puts over the disk is taken away, with its WWID entry; one that was there before is not
# touched, and attach says why it cannot. A portal that was of no use is cleaned before the next.
# Keeps: A10
make_storage 2
make_lun third 16
make_target "$OTHER_TARGET"
add_lun "$OTHER_TARGET" 0 third
start_daemons udevd iscsid multipathd
take_snapshot

# stays_bare WHAT: attaches, gives every event time to come, and detaches.
stays_bare() {
  expect_exit 0 hawser attach --json --multipath off --log-level info $(volume)
  cp /run/err /run/attach_log
  check "$1: the result is no map" equal "$(field .multipath)" false
  id=$(field .id) path=$(field .path)
  # A change event comes late, as it would on a busy host.
  echo change >"/sys/block/${path#/dev/}/uevent"
  udevadm settle --timeout=20
  nap; nap; nap; nap; nap
  check "$1: no map came" test ! -e /sys/block/dm-0
  check "$1: nobody else has the disk" can_mount "$path"
  check "$1: there is one session" equal "$(ls /sys/class/iscsi_session | wc -l)" 1
  expect_exit 0 hawser detach --json "$id"
  check "$1: nothing is left" nothing_left
}
# Claims the disk as a mount does, which fails while a map has it.
can_mount() {
  mke2fs -q -F "$1" && mkdir -p /run/exclusive && { mount -t ext4 "$1" /run/exclusive || mount "$1" /run/exclusive; } &&
    umount /run/exclusive
}

stays_bare "find_multipaths no"
check "multipathd had claimed it, and it was taken back" grep -q map.release /run/attach_log

kill $multipathd_pid
wait_until 15 test ! -d /proc/$multipathd_pid
start_multipathd yes
stays_bare "find_multipaths yes"

# The list of WWIDs has it from an earlier life: then one path is enough for multipathd.
expect_exit 0 hawser attach --json --multipath required $(volume)
wwid=$(field .multipath_id)
expect_exit 0 hawser detach --json "$(field .id)"
echo "/$wwid/" >>/etc/multipath/wwids
take_snapshot
stays_bare "find_multipaths yes and a WWID that is known"
check "multipathd had claimed it, and it was taken back" grep -q map.release /run/attach_log

# Somebody else's map over a disk that was there before.
iscsiadm -m discovery -t sendtargets -p 10.0.1.2 >/dev/null
iscsiadm -m node -T "$TARGET" -p 10.0.1.2 --login >/dev/null
wait_until 20 test -e /sys/block/dm-0
udevadm settle --timeout=20
take_snapshot
expect_exit 1 hawser attach --json --multipath off $(volume 1)
check "it says who has the disk" grep -q 'claimed by multipath map' <<<"$(field .error.message)"
check "nothing was touched" nothing_left
iscsiadm -m node -T "$TARGET" -p 10.0.1.2 --logout >/dev/null
multipathd del map mpatha >/dev/null || true
wait_until 20 test ! -e /sys/block/dm-0
