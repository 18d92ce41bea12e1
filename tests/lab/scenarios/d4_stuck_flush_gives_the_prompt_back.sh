# The flush itself is stuck in the kernel, where no signal reaches it: a map that is suspended, over a
# target with a write cache, with paths that answer. The command ends by its deadline all the same, and
# what it leaves behind ends with the cause. By force the same map is taken down.
# Keeps: D4, D5
make_storage 2
echo 1 >/sys/kernel/config/target/core/fileio_0/volume/attrib/emulate_write_cache
start_daemons udevd iscsid
load_multipath
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
udevadm settle --timeout=30
dmsetup suspend --noflush --nolockfs "$path"

start=$SECONDS
hawser detach --json --timeout 8 "$id" >/run/out 2>/run/err &
detach=$!
ended() { ! kill -0 $detach 2>/dev/null; }
check "the command ends" wait_until 25 ended
status=0
wait $detach || status=$?
cat /run/out
say "it took $((SECONDS - start)) s"
check "it is refused, since data could be lost" equal "$status" 3
check "the flush is what could not finish" grep -q flush <<<"$(field .error.message)"
check "the map is there" test -e "/sys/block/${path#/dev/}"

dmsetup resume "$path"
no_hawser() { ! grep -qx hawser /proc/[0-9]*/comm; }
check "what was left behind has ended" wait_until 20 no_hawser
write_pattern "$path" 4
check "the volume works" read_pattern "$path"

dmsetup suspend --noflush --nolockfs "$path"
expect_exit 0 hawser detach --json --force --timeout 60 "$id"
cat /run/out
check "it was not flushed" equal "$(field .flushed)" false
check "nothing is left" nothing_left
check "nothing of the command is left" wait_until 20 no_hawser
