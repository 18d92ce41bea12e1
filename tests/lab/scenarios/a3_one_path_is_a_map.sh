# One path is enough for a map, and the map takes the others when they come. A bare disk is handed out
# only when no map can be made and none was required, and then with a warning.
# Keeps: A3
# Labs: uml, qemu
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot
reduced='reduced performance and safety'

# A udev that is behind still has the link of a map of before, whose number is another's by now.
mknod /run/other b 7 99
for how in preferred required; do
  mkdir -p /dev/disk/by-id  # udev removes it when it is empty.
  ln -s /run/other "/dev/disk/by-id/dm-uuid-mpath-$(wwid_of volume)"
  expect_exit 0 hawser attach --json --multipath $how $(volume 1)
  check "$how: one path is a map" equal "$(field .multipath)" true
  check "$how: it is named by its WWID" grep -q 'dm-uuid-mpath-' <<<"$(field .stable_path)"
  check "$how: that leads to it" equal "$(readlink -f "$(field .stable_path)")" "$(field .path)"
  expect_exit 0 hawser detach --json "$(field .id)"
done

# The second portal answers later, while attach waits for it.
portal_down 2
{ read -r -t 2 -u "$never" || true; portal_up 2; } &
expect_exit 0 hawser attach --json --min-paths 1 --grace 20 --login-timeout 15 $(volume)
check "the map has taken the path that came late" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left

# multipathd would destroy a map over this disk.
kill $multipathd_pid
wait_until 15 test ! -d /proc/$multipathd_pid
start_multipathd no 'blacklist {
  device {
    vendor "LIO-ORG"
    product ".*"
  }
}'
expect_exit 1 hawser attach --json --multipath required $(volume)
check "required: it says what is in the way" grep -q 'blacklists' <<<"$(field .error.message)"
check "required: nothing is left" nothing_left
expect_exit 0 hawser attach --json --multipath preferred --log-level warning $(volume)
check "preferred: it is a bare disk" grep -q '^/dev/sd' <<<"$(field .path)"
check "preferred: it is said to be degraded" equal "$(field .degraded)" true
check "preferred: the result has the warning" grep -q "$reduced" <<<"$(field '.warnings[]')"
check "preferred: the log has it, once" equal "$(grep -c "$reduced" /run/err)" 1
check "preferred: one session is kept" equal "$(ls /sys/class/iscsi_session | wc -l)" 1
check "preferred: the WWID is not taken for multipath" equal "$(grep -c '^/' /etc/multipath/wwids || true)" 0
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
