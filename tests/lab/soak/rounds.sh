# Rounds of the soak: one process works on many volumes at random while the network, multipathd, iscsid and the
# target fail at random; then all is in order again, everything is detached, and what is left is counted.
# Sourced by scenarios, in the words of guest/lib.sh.

FAULTS="nothing nothing nothing one-down two-down all-down loss refused delay iscsid-silent multipathd-restart unmapped"
SOAK_PORTALS=4
SOAK_WORKERS=2

# prepare_soak SEED TARGETS LUNS_OF_EACH
prepare_soak() {
  local n m name words=(--seed "$1" --workers $SOAK_WORKERS)
  RANDOM=$1
  targets=$2 luns=$3
  load loop sch_netem
  make_portals $SOAK_PORTALS
  for ((n = 1; n <= SOAK_PORTALS; n++)); do words+=(--portal "10.0.$n.2:3260"); done
  for ((n = 1; n <= targets; n++)); do
    make_target "$TARGET$n"
    for ((m = 1; m <= luns; m++)); do
      name=volume$n.$m
      make_loop_lun "$name" 16
      add_lun "$TARGET$n" "$m" "$name"
      words+=(--volume "$TARGET$n,$m,$loop,$backing")
    done
  done
  start_daemons udevd iscsid multipathd
  take_snapshot
  mkfifo /run/soak.ask /run/soak.say
  /mnt/build/tests/lab/soak "${words[@]}" </run/soak.ask >/run/soak.say 2>/mnt/results/soak.err &
  exec {soak_ask}>/run/soak.ask {soak_say}</run/soak.say
  round=0
  ask rest 600 >/run/rested
  say "at the start: $(jq -c .figures /run/rested)"
}

# ask "WORDS" SECONDS: prints the answer. Calls have their deadlines, and may be at several in turn.
ask() {
  local answer
  tell "$soak_ask" "$1"
  read -r -t $(($2 * LAB_SLOWNESS)) -u "$soak_say" answer || fail "'$1' is not answered: $(tail -n 3 /mnt/results/soak.err)"
  echo "$answer"
}

# --- faults ---------------------------------------------------------------------------------------

some_portal() { echo $((RANDOM % SOAK_PORTALS + 1)); }

# strike FAULT: for some seconds, and then it is over.
strike() {
  local n seconds=$((RANDOM % 8 + 4))
  case $1 in
    one-down) portal_down "$(some_portal)" ;;
    two-down) portal_down 1; portal_down "$((RANDOM % 3 + 2))" ;;
    all-down) for ((n = 1; n <= SOAK_PORTALS; n++)); do portal_down $n; done ;;
    loss) for ((n = 1; n <= SOAK_PORTALS; n++)); do loss $n "0.$((RANDOM % 20 + 10))"; done ;;
    refused) portal_refuse "$(some_portal)" ;;
    delay) netem=$(some_portal); ip netns exec tgt tc qdisc add dev "t$netem" root netem delay 200ms 50ms ;;
    iscsid-silent) kill -STOP "$iscsid_pid" ;;
    multipathd-restart) kill -TERM "$multipathd_pid"; wait "$multipathd_pid" || true ;;
    unmapped) unmapped="$((RANDOM % targets + 1)) $((RANDOM % luns + 1))"; remove_lun "$TARGET${unmapped% *}" "${unmapped#* }" ;;
  esac
  sleep $seconds
  case $1 in
    delay) ip netns exec tgt tc qdisc del dev "t$netem" root ;;
    iscsid-silent) kill -CONT "$iscsid_pid" ;;
    # One that starts while udev is behind writes down the WWID of what had the name of a disk before. That entry is
    # of no attachment, so no detach takes it back.
    multipathd-restart) udevadm settle --timeout=$((60 * LAB_SLOWNESS)) || true; start_multipathd ;;
    unmapped) remap_lun "$TARGET${unmapped% *}" "${unmapped#* }" "volume${unmapped/ /.}" ;;
    *) iptables-legacy -F ;;
  esac
}

# soak_round SECONDS: appends a line to /mnt/results/rounds.jsonl. False if something was left or is not as it
# has to be.
soak_round() {
  local end=$((SECONDS + $1)) faults=($FAULTS) fault struck=() leftovers
  round=$((round + 1))
  tell "$soak_ask" "work $1"
  while [ "$SECONDS" -lt "$end" ]; do
    fault=${faults[RANDOM % ${#faults[@]}]}
    struck+=("$fault")
    strike "$fault"
  done
  read -r -t $((600 * LAB_SLOWNESS)) -u "$soak_say" worked || fail "the work does not end: $(tail -n 3 /mnt/results/soak.err)"
  ask rest 1800 >/run/rested
  nothing_left || true
  leftovers=$(sed -n 's/^[<>]/&/p' /run/differences | jq -Rcn '[inputs]')
  jq -cn --argjson round $round --argjson worked "$worked" --argjson leftovers "$leftovers" --slurpfile rested /run/rested \
    --args '{round: $round, faults: ($ARGS.positional | group_by(.) | map({key: .[0], value: length}) | from_entries)}
      + $worked + {leftovers: $leftovers, figures: $rested[0].figures, problems: ($worked.problems + $rested[0].problems),
      late_ms: ([$worked.late_ms, $rested[0].late_ms] | max), rest_calls: $rested[0].calls}' \
    "${struck[@]}" >/run/round
  cat /run/round >>/mnt/results/rounds.jsonl
  say "$(</run/round)"
  jq -e '.leftovers == [] and .problems == []' /run/round >/dev/null
}

# Of the last round against the first, which has paid for what is made once. The heap of a process with
# threads is never quite the same, by some KiB; fifty bytes a call would be more after some thirteen hundred calls.
is_flat() {
  jq -es '(first | .figures) as $first | last | .figures
    | .heap_kib <= $first.heap_kib + 64 and .rss_kib <= $first.rss_kib + 8192
      and .fds == $first.fds and .threads == 1' /mnt/results/rounds.jsonl
}
# Of all rounds: volumes were attached, written to, read back and detached.
has_worked() {
  jq -es 'map(.calls.attach.done // 0) as $attached | map((.calls.detach.done // 0) + (.rest_calls.detach.done // 0)) as $detached
    | ($attached | add) > 0 and ($detached | add) > 0 and (map(.blocks_written) | add) > 0 and (map(.blocks_checked) | add) > 0' \
    /mnt/results/rounds.jsonl
}
# A call may take 30 s to undo after its deadline. As much again is for a machine that is busy.
is_in_time() { jq -es 'all(.[]; .late_ms <= 60000)' /mnt/results/rounds.jsonl; }
# Some had a deadline that was far too short; a short run may have none.
was_late() { jq -es '[.[].calls[] | .deadline_exceeded // 0] | add > 0' /mnt/results/rounds.jsonl; }
