# A volume that was attached as a bare disk and has a map by now is detached as what it is, and so is one that was
# attached as a map that somebody has removed: what is written is on the target, and nothing is left.
# Keeps: D1
make_storage 2
start_daemons udevd iscsid
load_multipath
take_snapshot
arrives() { dd if=/run/pattern of="$1" bs=1M conv=notrunc status=none; }
on_target() { cmp -n 2097152 /run/pattern /dev/shm/volume.img; }

expect_exit 0 hawser attach --json --multipath off $(volume)
id=$(field .id) path=$(field .path)
check "it is a bare disk" equal "$(field .multipath)" false
udevadm settle --timeout=60
dmsetup create theirs --uuid "mpath-$(wwid_of volume)" \
  --table "0 $(<"/sys/block/${path#/dev/}/size") multipath 0 0 1 1 service-time 0 1 1 $(<"/sys/block/${path#/dev/}/dev") 1"
head -c 2M /dev/urandom >/run/pattern
arrives /dev/mapper/theirs
expect_exit 0 hawser detach --json "$id"
check "it says that it was flushed" equal "$(field .flushed)" true
check "what was written to the map is on the target" on_target
check "nothing is left" nothing_left

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
check "it is a map" equal "$(field .multipath)" true
disk=$(field '.paths[0].device')
udevadm settle --timeout=60
dmsetup remove "$(<"/sys/block/${path#/dev/}/dm/name")"
head -c 2M /dev/urandom >/run/pattern
arrives "/dev/$disk"
expect_exit 0 hawser detach --json "$id"
check "it says that it was flushed" equal "$(field .flushed)" true
check "what was written to a disk is on the target" on_target
check "nothing is left" nothing_left
