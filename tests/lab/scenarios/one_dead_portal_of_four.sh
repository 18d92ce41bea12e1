# A portal that swallows everything costs the grace period, not a login time-out, and leaves nothing.
# Labs: uml, qemu
make_storage
start_daemons udevd iscsid multipathd
take_snapshot
portal_down 3

expect_exit 0 hawser attach --json --grace 3 --login-timeout 10 $(volume)
check "three paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 3
check "it is said to be degraded" equal "$(field .degraded)" true
check "the dead one is named, with an error" equal \
  "$(field '.paths[]|select(.error!=null)|.portal')" 10.0.3.2:3260
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"

# The login to the dead portal may still be under way: detach sees to it.
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
