# The same with no multipathd on the host: the map is all ours.
# Labs: uml, qemu
make_storage
load_multipath
start_daemons udevd iscsid
take_snapshot

expect_exit 0 hawser attach --json $(volume)
check "the result is a map" equal "$(field .multipath)" true
check "all four paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
id=$(field .id) path=$(field .path)
write_pattern "$path" 8
check "what was written is read back" read_pattern "$path"

expect_exit 0 hawser detach --json "$id"
check "it was flushed" equal "$(field .flushed)" true
check "nothing is left" nothing_left
