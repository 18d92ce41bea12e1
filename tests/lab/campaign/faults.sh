# What a scenario of the campaign does to the storage of cycle.sh: plant before the attach, strike between
# attach and detach, heal after all. The fault's name, one of SCENARIOS in report.py, is in $fault. Sourced by
# cycle.sh.

tpg=/sys/kernel/config/target/iscsi/$TARGET/tpgt_1

plant() {
  local n percent which="1 2 3 4"
  case $fault in
    loss*)
      percent=${fault#loss}
      percent=${percent%%-*}
      case $fault in *-first-half) which="1 2" ;; *-second-half) which="3 4" ;; esac
      for n in $which; do loss "$n" "$((percent / 100)).$(printf %02d $((percent % 100)))"; done
      ;;
    # On the target's side, so that it is the initiator's input too.
    delay | eight-delay) for n in 1 2 3 4; do netem "$n" delay 200ms 50ms; done ;;
    reorder) for n in 1 2 3 4; do netem "$n" delay 20ms reorder 25% 50%; done ;;
    refused) portal_refuse 1 ;;
    silent) portal_down 1 ;;
    flap) in_background flap 2 ;;
    target-restart) in_background restart_target ;;
  esac
}

# strike: sets wrote when there is data that has to arrive.
strike() {
  local n
  wrote=false
  case $fault in
    dirty-*)
      udevadm settle --timeout=60  # Else the last to close may be a probe of udev's.
      for n in 1 2 3 4; do portal_down "$n"; done
      leave_dirty "$1" 8
      wrote=true
      ;;
    unmapped) remove_lun "$TARGET" 1 || fail "no $fault" ;;
  esac
}

heal() {
  local n
  end_background
  iptables-legacy -F
  case $fault in
    *delay | reorder) for n in 1 2 3 4; do ip netns exec tgt tc qdisc del dev "t$n" root; done ;;
  esac
  [ -e "$tpg/lun/lun_1/volume1" ] || remap_lun "$TARGET" 1 volume1
}

netem() { ip netns exec tgt tc qdisc add dev "t$1" root netem "${@:2}" || fail "no $fault at portal $1"; }

# flap N: two seconds without the link of portal N, two with it. Starts no process.
flap() {
  local flags=/sys/class/net/i$1/flags up
  up=$(<"$flags")
  trap 'echo $up >$flags; exit 0' TERM
  while :; do
    echo $((up & ~1)) >"$flags"
    for n in {1..20}; do nap; done
    echo $((up)) >"$flags"
    for n in {1..20}; do nap; done
  done
}

# restart_target: as soon as a session is there, the target is gone for three seconds.
restart_target() {
  trap 'echo 1 >$tpg/enable; exit 0' TERM
  until compgen -G '/sys/class/iscsi_session/session*' >/dev/null; do nap; done
  echo 0 >"$tpg/enable"
  for n in {1..30}; do nap; done
  echo 1 >"$tpg/enable"
}

background=
in_background() {
  "$@" &
  background=$!
}
end_background() {
  [ -n "$background" ] || return 0
  kill -TERM "$background" 2>/dev/null || true
  wait "$background" || true
  background=
}

# leave_dirty DEVICE MIB: written through the page cache. Its writer closes, or is killed in its close, which
# waits for the paths.
leave_dirty() {
  local writer
  head -c "$2M" /dev/urandom >/run/dirty
  dd if=/run/dirty of="$1" bs=1M conv=notrunc status=none 2>/dev/null &
  writer=$!
  ended_within 30 $writer || kill -KILL $writer
}
