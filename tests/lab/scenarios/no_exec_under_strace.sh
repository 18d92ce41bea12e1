# The command starts no program, and the library no process: the command's own child, which it works in
# so that nothing stuck in the kernel can hold the prompt, is the only one. It asks no device for its identity
# (SG_IO), and takes no link of udev's for an answer.
# Keeps: D1, D3
make_storage
start_daemons udevd iscsid multipathd
take_snapshot

traced() {
  strace -f -o /run/trace -e trace=execve,execveat,fork,vfork,clone,clone3,ioctl,%file "$HAWSER" "$@"
}
count() { grep -cE "$1" /run/trace || true; }
starts() { count '(execve|execveat|fork|vfork)\('; }
# Threads are made by clone too.
processes() { grep -E 'clone3?\(' /run/trace | grep -vc CLONE_THREAD || true; }
# faccessat without following, to see whether a link is gone, is no resolving.
links() { grep -E '/dev/(disk|mapper)/' /run/trace | grep -vE '/dev/mapper/control|AT_SYMLINK_NOFOLLOW|^[0-9]+ +access\(' || true; }
# Nor is it to see whether udev has made the link that is handed out, and to what.
handed_out='stat(at)?\(AT_FDCWD, "/dev/disk/by-id/dm-uuid-mpath-'
scsi_questions() { count 'SG_IO|SCSI_IOCTL'; }

for mode in preferred off; do
  # multipathd would claim the bare device.
  [ $mode = preferred ] || { kill $multipathd_pid; wait_until 20 test ! -d /proc/$multipathd_pid; }
  expect_exit 0 traced attach --json --multipath $mode $(volume)
  id=$(field .id)
  check "attach started no program ($mode)" equal "$(starts)" 1
  check "attach started one process" equal "$(processes)" 1
  check "attach asked no device for its identity" equal "$(scsi_questions)" 0
  check "attach resolved no other link of udev's" equal "$(links | grep -vE "$handed_out" || true)" ''
  check "strace sees what it should" test "$(count 'ioctl\(')" -gt 0 -a "$(count '/dev/')" -gt 0
  expect_exit 0 traced detach --json "$id"
  check "detach started no program ($mode)" equal "$(starts)" 1
  check "detach started one process" equal "$(processes)" 1
  read -r first _ </run/trace
  check "which the command did itself, before any thread" \
    grep -qE "^$first +clone" <<<"$(grep -E 'clone3?\(' /run/trace | head -n 1)"
  check "detach asked no device for its identity" equal "$(scsi_questions)" 0
  check "detach resolved no link of udev's" equal "$(links)" ''
  check "nothing is left" nothing_left
done
