# Where the kernel has put its ALUA handler on the paths, a map made by hawser goes through it as one
# made by multipathd does: alone, and when multipathd has taken it over.
# Keeps: R8
# Labs: qemu
load scsi_dh_alua
make_storage 2
load_multipath
start_daemons udevd iscsid
take_snapshot

handlers() { sort -u /sys/class/iscsi_session/session*/device/target*/*/dh_state; }
goes_through_alua() { grep ' 1 alua ' <<<"$(dmsetup table "$(<"/sys/block/${path#/dev/}/dm/name")")"; }
is_monitored() { [ -n "$(multipathd show maps format %n raw)" ]; }

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
check "the kernel has put the handler on the paths" equal "$(handlers)" alua
check "our map goes through it" goes_through_alua
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"

start_multipathd
check "multipathd takes the map over" wait_until 30 is_monitored
check "it still goes through the handler" goes_through_alua
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
