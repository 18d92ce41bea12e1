# A disk whose host recovers from an error lets itself be opened when that is over, which may be never.
# Who puts it into a map comes back by the deadline, and other maps of the process do not wait for it.
# Keeps: A7, H3
make_storage 2
start_daemons iscsid
load_multipath
two_maps=/mnt/build/tests/lab/two_maps
[ -x "$two_maps" ] || fail "there is no tests/lab/two_maps in the build directory"

foreign_session "$TARGET" 1
foreign_device 1
hung_host=$host hung_disk=$disk
foreign_session "$TARGET" 2
foreign_device 1
state=/sys/class/scsi_host/host$hung_host/state
exec {held}<"/dev/$hung_disk"

echo recovery >"$state"
# A process goes when its last thread does, and one is in the kernel until the disk is opened.
"$two_maps" "$(<"/sys/block/$hung_disk/dev")" "$(<"/sys/block/$disk/dev")" $((10 * LAB_SLOWNESS)) >/run/out 2>&1 &
process=$!
has_ended() { ! kill -0 $process 2>/dev/null; }
check "it comes back" wait_until $((60 * LAB_SLOWNESS)) test -s /run/out
cat /run/out
check "making the map came back" grep -q deadline <<<"$(field .made)"
check "by its deadline" at_most "$(field .took_ms)" $(((10 * LAB_SLOWNESS + 20) * 1000))
check "others were not held up" equal "$(field .others)" ok
check "a map was made and removed meanwhile" equal "$(field .meanwhile)" 1
check "its removal came back" grep -q deadline <<<"$(field .removed)"
has_ended && fail "nothing was left behind"

# The end of a reset wakes whoever waits for the host. SG_SCSI_RESET of the device: include/scsi/scsi_ioctl.h.
echo running >"$state"
/usr/bin/python3 -c '
import fcntl, struct, sys
fcntl.ioctl(int(sys.argv[1]), 0x2284, struct.pack("i", 1))
' "$held"
exec {held}<&-
check "what was left behind ends" wait_until 30 has_ended
check "the map is gone" sh -c '! dmsetup info hung'
