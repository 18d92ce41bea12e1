# With two of four portals silent, attach returns after the grace period.
make_storage
start_daemons udevd iscsid multipathd
expect_exit 0 hawser attach --json $(volume)
clean_ms=$(field '.elapsed_ms|floor')
expect_exit 0 hawser detach --json "$(field .id)"
take_snapshot
portal_down 2
portal_down 4

expect_exit 0 hawser attach --json --min-paths 1 --grace 2 --login-timeout 30 $(volume)
took_ms=$(field '.elapsed_ms|floor')
say "clean attach $clean_ms ms, with two portals silent $took_ms ms"
check "two paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
# Room for a noisy machine on top of the grace period; a login time-out would not fit.
check "it took the grace period and about the clean time" at_most "$took_ms" $((2000 + 2 * clean_ms + 15000))
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left
