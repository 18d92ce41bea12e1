# Beside multipathd, a portal that was dead at attach is joined by the next attach, and a portal that
# the first attach was not told of as well.
# Keeps: R2
make_storage 3
start_daemons udevd iscsid multipathd
take_snapshot
portal_refuse 2
has_slaves() { [ "$(ls "/sys/block/${path#/dev/}/slaves" | wc -l)" = "$1" ]; }

expect_exit 0 hawser attach --json --grace 30 --login-timeout 3 $(volume 2)
id=$(field .id) path=$(field .path)
check "one path of two is active" equal "$(field .degraded)" true
write_pattern "$path" 4

portal_accept 2
expect_exit 0 hawser attach --json --grace 30 --login-timeout 3 $(volume 3)
check "it is the same attachment" equal "$(field '[.id,.path]|join(" ")')" "$id $path"
check "with three active paths" equal "$(field '[.paths[]|select(.state=="active")]|length')" 3
# multipathd takes out what udev has not told it of yet, and puts it in when it has.
check "the map has them" wait_until 20 has_slaves 3
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
