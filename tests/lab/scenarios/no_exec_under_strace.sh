# The command starts no process: strace sees its own start and nothing else.
make_storage
start_daemons udevd iscsid multipathd
take_snapshot

traced() { strace -f -o /run/trace -e trace=execve,execveat,fork,vfork "$HAWSER" "$@"; }
starts() { grep -cE '(execve|execveat|fork|vfork)\(' /run/trace; }
expect_exit 0 traced attach --json $(volume)
check "attach started nothing" equal "$(starts)" 1
id=$(field .id)
# Threads are made by clone, and only threads.
expect_exit 0 strace -f -o /run/trace -e trace=clone,clone3 "$HAWSER" detach --json "$id"
check "detach made threads only" equal "$(grep -E 'clone3?\(' /run/trace | grep -vc CLONE_THREAD || true)" 0
check "nothing is left" nothing_left
expect_exit 0 hawser attach --json $(volume)
expect_exit 0 traced detach --json "$(field .id)"
check "detach started nothing" equal "$(starts)" 1
check "nothing is left" nothing_left
