# Something that is no iscsid listens in its place and closes every connection: the error says so, soon,
# and nothing is left.
# Keeps: H3
make_storage 1
start_daemons udevd
take_snapshot
/usr/bin/python3 -c '
import socket
listener = socket.socket(socket.AF_UNIX)
listener.bind("\0ISCSIADM_ABSTRACT_NAMESPACE")
listener.listen(32)
while True: listener.accept()[0].close()' &
fake=$!
wait_until 20 listens ISCSIADM_ABSTRACT_NAMESPACE
expect_exit 1 hawser attach --json --timeout 30 $(volume)
check "it says that iscsid answers nothing" grep -q 'iscsid answers no request' <<<"$(field .error.message)"
check "it is worth another try" equal "$(field .error.retryable)" true
check "nothing is left" nothing_left
kill $fake
wait_until 10 test ! -d /proc/$fake
start_iscsid
expect_exit 0 hawser attach --json $(volume)
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left
