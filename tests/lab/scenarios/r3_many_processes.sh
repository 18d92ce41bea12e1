# Eight processes attach eight volumes of one target at once, and four detach while four others attach:
# each has its own volume and nothing else, no session is logged out under another's feet, and it takes
# far less time than one after the other.
# Keeps: R3
# Labs: uml, qemu
load sch_netem
make_portals 2
make_target "$TARGET"
for n in 1 2 3 4 5 6 7 8; do
  make_lun "volume$n" 16
  add_lun "$TARGET" "$n" "volume$n"
done
start_daemons udevd iscsid
load_multipath
take_snapshot
# A target that is far away: what is waited for is the network, of which there is enough for all.
for n in 1 2; do nsenter --net=/run/netns/tgt tc qdisc add dev t$n root netem delay 50ms; done

attach() { hawser attach --json --grace 30 --target "$TARGET" --lun "$1" --portal 10.0.1.2 --portal 10.0.2.2 >"/run/out$1" 2>&1; }
detach() { hawser detach --json "${ids[$1]}" >"/run/out$1" 2>&1; }
ms() { local now=${EPOCHREALTIME/./}; echo $((now / 1000)); }
# all COMMAND N...: side by side, and all have to be good.
all() {
  local command=$1 n pids=()
  shift
  for n in "$@"; do $command "$n" & pids+=($!); done
  for n in "${pids[@]}"; do wait "$n" || { cat /run/out?; return 1; }; done
}
sessions() { ls -d /sys/class/iscsi_session/session* 2>/dev/null | wc -l; }
ids=()
# check_volume N: it is the unit that was asked for, on two paths. In a guest with too much to do the kernel
# may have failed one in passing, which nobody takes back where no multipathd runs, but join does.
check_volume() {
  local out=/run/out$1
  [ "$(field '[.paths[]|select(.device!=null)]|length' "$out")" = 2 ] &&
    [ "$(field .scsi_wwn "$out")" = "$(wwid_of "volume$1")" ] &&
    { [ "$(field .degraded "$out")" = false ] || is_joined "$1"; } || { cat "$out"; return 1; }
}
is_joined() {
  say "volume $1 is degraded: join"
  dmesg | tail -n 20
  hawser show --json --join "$(field .id "/run/out$1")" >"/run/out$1.joined"
  [ "$(field .degraded "/run/out$1.joined")" = false ] || { cat "/run/out$1.joined"; return 1; }
}

# Four times what two take, the logins among it, is what eight would.
start=$(ms)
for n in 1 2; do attach $n && ids[n]=$(field .id "/run/out$n"); done
one_by_one=$((4 * ($(ms) - start)))
check "one after the other: two sessions for both" equal "$(sessions)" 2
check "they are detached at once" all detach 1 2
check "nothing is left" nothing_left

start=$(ms)
check "eight are attached at once" all attach 1 2 3 4 5 6 7 8
at_once=$(($(ms) - start))
say "one after the other $one_by_one ms, at once $at_once ms"
for n in 1 2 3 4 5 6 7 8; do check "volume $n is the one that was asked for" check_volume $n; done
check "with two sessions for all" equal "$(sessions)" 2
# Where the processor is emulated it is the processor that all wait for.
[ "$LAB_SLOWNESS" -gt 1 ] || check "it took far less than one after the other" at_most "$at_once" $((one_by_one * 2 / 3))
for n in 1 2 3 4 5 6 7 8; do ids[n]=$(field .id "/run/out$n"); done
check "four are detached" all detach 5 6 7 8

# Four come while four go.
mixed() { if [ "$1" -le 4 ]; then detach "$1"; else attach "$1"; fi; }
check "four go while four come" all mixed 1 5 2 6 3 7 4 8
for n in 5 6 7 8; do check "volume $n is the one that was asked for" check_volume $n; done
check "with two sessions for all" equal "$(sessions)" 2
expect_exit 0 hawser list --json
check "four are attached, whole" equal "$(field '[.[]|select(.status=="attached" and .degraded==false)]|length')" 4
check "all are detached at once" all detach 5 6 7 8
check "nothing is left" nothing_left
