# Four portals that are far away take about as long as one, never the sum. So far away that what four logins cost
# a slow machine is little beside it.
# Keeps: A2
make_storage
load_multipath
load sch_netem
# Without udev, whose work in the guest grows with the number of disks.
start_daemons iscsid
take_snapshot
for n in 1 2 3 4; do echo "qdisc add dev i$n root netem delay 600ms"; done | tc -batch -

# attach_ms PORTALS: how long an attach over so many portals takes.
attach_ms() {
  expect_exit 0 hawser attach --json --log-level info --min-paths "$1" $(volume "$1")
  sent=$(grep -n 'logging in to' /run/err | cut -d: -f1 | tail -n 1)
  answered=$(grep -n 'logged in, session' /run/err | cut -d: -f1 | head -n 1)
  check "all $1 paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" "$1"
  took_ms=$(field '.elapsed_ms|floor')
  login_ms=$(field '[.paths[].login_ms]|max|floor')
  expect_exit 0 hawser detach --json "$(field .id)"
}
attach_ms 1
one_ms=$took_ms one_login_ms=$login_ms
attach_ms 4
say "one portal: login $one_login_ms ms, attach $one_ms ms; four portals: login $login_ms ms, attach $took_ms ms"
check "the last login was sent before the first was answered" test "$sent" -lt "$answered"
check "the delay is there" test "$one_login_ms" -ge 1200
check "four logins take about as long as one" at_most "$login_ms" $((2 * one_login_ms))
check "and so does the whole attach" at_most "$took_ms" $((2 * one_ms))
check "nothing is left" nothing_left
