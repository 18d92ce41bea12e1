# A volume in use stays whole: the holder is named, and once it is gone detach works.
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)

mke2fs -q -F "$path"
mkdir /run/mounted
mount -t ext4 "$path" /run/mounted || mount "$path" /run/mounted
expect_exit 1 hawser detach --json --timeout 5 "$id"
check "the mount is named" grep -q /run/mounted <<<"$(field .error.message)"
check "the code says busy" equal "$(field .error.code)" busy
umount /run/mounted

exec 9<"$path"
expect_exit 1 hawser detach --json --timeout 3 "$id"
check "an opener is waited for, and then named" equal "$(field .error.code)" busy
expect_exit 0 hawser show --json "$id"
check "both paths are as before" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
write_pattern "$path" 4
check "the volume works" read_pattern "$path"
exec 9<&-
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
