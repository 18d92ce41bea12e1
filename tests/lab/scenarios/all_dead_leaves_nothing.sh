# No portal answers: attach fails by its deadline, says why for each, and leaves nothing.
make_storage 2
start_daemons udevd iscsid multipathd
take_snapshot
portal_down 1
portal_refuse 2
status=0
hawser attach --json --timeout 8 --login-timeout 4 $(volume) >/run/out 2>/run/err || status=$?
cat /run/out
check "it failed, and the host is as it was" test "$status" -eq 1 -o "$status" -eq 4
check "each portal has its reason" equal "$(field '.error.paths|length')" 2
check "nothing is left" nothing_left
