# A target with many LUNs behind several portals, another that shares them, and two foreign sessions
# for one pair: each path shows the one LUN, no other appears anywhere. And what is found is found
# through sysfs and device-mapper: links in /dev that lie mislead nobody, and are not even looked at.
# Keeps: A9, A5
make_portals 3
make_lun volume 16
make_target "$TARGET"
add_lun "$TARGET" 1 volume
make_target "$OTHER_TARGET"
for n in 0 2 3; do
  make_lun "other$n" 16
  add_lun "$TARGET" $n "other$n"
  add_lun "$OTHER_TARGET" $n "other$n"
done
make_lun decoy 16
add_lun "$OTHER_TARGET" 1 decoy
start_daemons udevd iscsid
load_multipath
foreign_session "$OTHER_TARGET" 1
foreign_device 1
decoy=$host:0:0:1
# The second session of the pair is the one that is found last.
iscsiadm -m node -T "$TARGET" -p 10.0.1.2:3260 -o new >/dev/null
iscsiadm -m node -T "$TARGET" -p 10.0.1.2:3260 -o update -n node.session.scan -v manual
iscsiadm -m node -T "$TARGET" -p 10.0.1.2:3260 -o update -n node.session.nr_sessions -v 2
iscsiadm -m node -T "$TARGET" -p 10.0.1.2:3260 --login >/dev/null
check "two sessions of one pair are there" equal "$(grep -l "$TARGET" /sys/class/iscsi_session/*/targetname | wc -l)" 2
take_snapshot

wwid=$(wwid_of volume)
for link in by-id/scsi-$wwid by-id/wwn-0x${wwid#3} by-id/dm-uuid-mpath-$wwid \
  by-path/ip-10.0.1.2:3260-iscsi-$TARGET-lun-1 by-path/ip-10.0.2.2:3260-iscsi-$TARGET-lun-1; do
  mkdir -p "/dev/disk/${link%/*}"
  ln -sf "../../$disk" "/dev/disk/$link"
done
# Looking whether udev has made the link that is handed out, and to what, is no search.
handed_out='stat(at)?\(AT_FDCWD, "/dev/disk/by-id/dm-uuid-mpath-'
looked_up() {
  grep -E '"/dev/(disk|mapper)/' /run/trace | grep -vE '(^| )f?access(at2?)?\(|"/dev/mapper/control"' || true
}
traced() { strace -f -o /run/trace -e trace=%file,readlink,readlinkat "$HAWSER" "$@"; }

expect_exit 0 traced attach --json $(volume)
cat /run/out
id=$(field .id) path=$(field .path)
check "no link is looked up to attach" equal "$(looked_up | grep -vE "$handed_out" || true)" ""
grep -q '/sys' /run/trace || grep -q openat2 /run/trace || fail "the trace is empty"
check "the three paths are the volume's" equal "$(field '[.paths[]|select(.state=="active")|.hctl|split(":")[3]]|join(" ")')" "1 1 1"
check "each is on a host of its own" equal "$(field '[.paths[].hctl]|unique|length')" 3
luns=''
for device in /sys/class/scsi_device/*; do
  [ "${device##*/}" = "$decoy" ] || luns+="${device##*:} "
done
check "no other LUN appeared" equal "$luns" "1 1 1 "
write_pattern "$path" 4
check "what was written is in the volume" cmp -n 4194304 /run/pattern /dev/shm/volume.img
check "the decoy is as it was" is_untouched decoy
expect_exit 0 traced detach --json "$id"
check "no link is looked up to detach" equal "$(looked_up)" ""
rm -f /dev/disk/by-id/{scsi-,dm-uuid-mpath-}"$wwid"
check "the sessions and the device of others are as before" nothing_left

# A new LUN on a session that is there: it is not ours to show.
expect_exit 0 hawser attach --json $(volume)
make_lun late 16
add_lun "$TARGET" 7 late
write_pattern "$(field .path)" 1
check "a LUN that comes later does not appear" test -z "$(ls -d /sys/class/scsi_device/*:7 2>/dev/null)"
expect_exit 0 hawser detach --json "$(field .id)"
rm -f /dev/disk/by-id/{scsi-,dm-uuid-mpath-}"$wwid"
check "nothing is left" nothing_left
