# With --node-record open-iscsi knows the sessions: the record is readable by root only, the last of
# our volumes takes it along, and one that was there before stays as it was.
# Keeps: D8
# Labs: uml, qemu
make_storage 2
make_lun second 16
add_lun "$TARGET" 2 second
start_daemons udevd iscsid
load_multipath
iscsiadm -m discovery -t sendtargets -p 10.0.1.2 >/dev/null
iscsiadm -m node -T "$TARGET" -p 10.0.2.2 -o delete
theirs=$(find $NODES -type f 2>/dev/null || true)
sum=$(md5sum "$theirs")
take_snapshot
second() { volume | sed 's/--lun 1/--lun 2/'; }
records() { iscsiadm -m node 2>/dev/null | grep -c "$TARGET"; }

expect_exit 0 hawser attach --json --node-record $(volume)
first=$(field .id)
check "iscsiadm knows both portals" equal "$(records)" 2
ours=$(find $NODES -type f -path '*10.0.2.2*' 2>/dev/null || true)
check "the record is for root only" equal "$(stat -c %a "$ours")" 600
check "iscsiadm reads it" iscsiadm -m node -T "$TARGET" -p 10.0.2.2 -o show
check "and finds its session" grep -q 10.0.2.2 <<<"$(iscsiadm -m session)"
expect_exit 0 hawser attach --json --node-record $(second)
other=$(field .id)
expect_exit 0 hawser detach --json "$first"
check "the record is there for the volume that is left" equal "$(records)" 2
check "and so are both sessions" equal "$(ls /sys/class/iscsi_session | wc -l)" 2
expect_exit 0 hawser detach --json "$other"
check "the last one takes it along" equal "$(records)" 1
check "the record that was there is as it was" equal "$(md5sum "$theirs")" "$sum"
check "nothing is left" nothing_left
