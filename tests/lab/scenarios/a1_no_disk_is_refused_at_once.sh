# What is named is a tape: the attach is refused at once, on every path, and on sessions that another
# volume keeps the unit that its scan brought is gone again. A tape that somebody has scanned is his, and
# stays.
# Keeps: A1
make_storage 2
modprobe -d "$MODULES" scsi_debug ptype=1
tape=$(basename "$(dirname "$(grep -l scsi_debug /sys/class/scsi_host/host*/proc_name)")")
store=/sys/kernel/config/target/core/pscsi_0/tape
load target_core_pscsi
mkdir -p "$store"
echo "scsi_host_id=${tape#host},scsi_channel_id=0,scsi_target_id=0,scsi_lun_id=0" >"$store/control"
echo "$tape" >"$store/udev_path"  # Any text will do.
echo 1 >"$store/enable"
mkdir "/sys/kernel/config/target/iscsi/$TARGET/tpgt_1/lun/lun_7"
ln -s "$store" "/sys/kernel/config/target/iscsi/$TARGET/tpgt_1/lun/lun_7/tape"
start_daemons udevd iscsid multipathd

tape() { volume | sed 's/--lun 1/--lun 7/'; }
refused() {
  expect_exit 1 hawser attach --json $(tape)
  # Not that no disk came in time.
  check "the error says so" equal "$(field .error.code)" unsupported
  check "of both paths" equal "$(field '[.error.paths[].code] | unique | join(" ")') $(field '.error.paths | length')" 'unsupported 2'
}

take_snapshot
refused
check "nothing is left without a neighbour" nothing_left

expect_exit 0 hawser attach --json $(volume)
neighbour=$(field .id)
take_snapshot
refused
check "nothing is left on the neighbour's sessions" nothing_left

session=$(ls -d /sys/class/iscsi_session/session* | head -n 1)
host=$(basename "$(readlink -f "$session/device/..")")
echo "0 0 7" >"/sys/class/scsi_host/$host/scan"
check "somebody has scanned the tape" equal "$(<"/sys/class/scsi_device/${host#host}:0:0:7/device/type")" 1
take_snapshot
refused
check "somebody's tape is as before" nothing_left

echo 1 >"/sys/class/scsi_device/${host#host}:0:0:7/device/delete"
expect_exit 0 hawser detach --json "$neighbour"
