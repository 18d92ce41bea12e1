# 64 portals of which 60 swallow everything: attach takes no longer than one login's time-out, the grace period and
# about what it takes over the four good ones; nothing is left.
# Keeps: H4
make_storage
start_daemons udevd iscsid multipathd
take_snapshot
expect_exit 0 hawser attach --json $(volume)
clean_ms=$(field '.elapsed_ms|floor')
expect_exit 0 hawser detach --json "$(field .id)"

# The target's network namespace forwards nothing: what is sent there is lost.
ip route add 10.9.0.0/24 via 10.0.1.2
dead=''
for ((n = 1; n <= 60; n++)); do dead+=" --portal 10.9.0.$n"; done
expect_exit 0 hawser attach --json --min-paths 4 --grace 2 --login-timeout 15 $dead $(volume)
took_ms=$(field '.elapsed_ms|floor')
say "clean attach $clean_ms ms, with 60 dead portals $took_ms ms"
check "four paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
check "sixty have an error" equal "$(field '[.paths[]|select(.error!=null)]|length')" 60
# iscsid waits a millisecond for each connection that does not come up, once a second. In a guest without
# high-resolution timers that is a tick or two, and sixty of them keep it from the good ones until the dead have timed
# out. One dead portal after the other would take sixty times the time-out.
check "it took one time-out, the grace period and about the clean time" at_most "$took_ms" $((15000 + 2000 + 3 * clean_ms + 10000))
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left

expect_exit 1 hawser attach --json --login-timeout 3 --target "$TARGET" --lun 1 $dead
check "with none alive, each has its reason" equal "$(field '.error.paths|length')" 60
check "nothing is left" nothing_left
