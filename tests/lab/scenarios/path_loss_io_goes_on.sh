# A portal is cut under I/O: the I/O goes on over the others, the path is shown for what it is, and
# comes back.
make_storage
start_daemons udevd iscsid multipathd
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
active() { hawser show --json "$id" >/run/out && [ "$(field '[.paths[]|select(.state=="active")]|length')" -eq "$1" ]; }

portal_down 2
write_pattern "$path" 16
check "what was written meanwhile is read back" read_pattern "$path"
check "the path is seen to be lost" wait_until 40 active 3
check "it is the one that was cut" equal \
  "$(field '.paths[]|select(.state!="active")|.portal')" 10.0.2.2:3260
portal_up 2
check "it comes back" wait_until 60 active 4
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
