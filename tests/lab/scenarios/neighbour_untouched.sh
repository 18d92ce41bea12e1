# Somebody else has a session to the same target at one of our portals, with another LUN, and a
# session to another target: both are as before after our attach and detach.
make_storage 2
make_lun other 16
add_lun "$TARGET" 2 other
make_lun third 16
make_target "$OTHER_TARGET"
add_lun "$OTHER_TARGET" 0 third
start_daemons udevd iscsid
load_multipath
iscsiadm -m discovery -t sendtargets -p 10.0.1.2 >/dev/null
iscsiadm -m node -T "$OTHER_TARGET" -p 10.0.1.2 --login >/dev/null
iscsiadm -m node -T "$TARGET" -p 10.0.1.2 --op update -n node.session.scan -v manual
iscsiadm -m node -T "$TARGET" -p 10.0.1.2 --login >/dev/null
sid=$(iscsiadm -m session | sed -n "s/.*\[\([0-9]*\)\].*10.0.1.2.*$TARGET.*/\1/p")
host=$(basename "$(readlink -f /sys/class/iscsi_session/session$sid/device/..)")
echo "0 0 2" >/sys/class/scsi_host/$host/scan
wait_until 10 sh -c '[ "$(ls -d /sys/block/sd* | wc -l)" = 2 ]'
take_snapshot
cat /run/before

expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
check "both paths are used" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
check "the session that was there is shared" equal "$(ls /sys/class/iscsi_session | wc -l)" 3
expect_exit 0 hawser detach --json "$id"
check "everything is as before" nothing_left
