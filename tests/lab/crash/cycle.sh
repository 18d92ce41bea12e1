# One cycle of the crash campaign: a hawser is killed in an operation, `hawser recover` runs, and the host is
# held against the state before. Sourced by scenarios, in the words of guest/lib.sh.
#
# Three volumes of one target: LUN 1 is worked on, over four portals. LUN 2, the neighbour, is attached over
# two of them all the time, and is written to and verified. LUN 3 is attached and detached by another hawser
# meanwhile where a companion is asked for, over three of them, so that sessions of all kinds are shared.

OPERATIONS="attach attach-bare detach detach-force resize join recover"

# A device that answers no sooner has been interrupted.
NEIGHBOUR_MS_MAX=5000

hook=/mnt/build/tests/lab/libcrash_at_record.so

# prepare_crashes [SEED]
prepare_crashes() {
  RANDOM=${1:-1}
  [ -e "$hook" ] || fail "there is no $hook"
  load loop
  make_portals 4
  make_target "$TARGET"
  make_loop_lun volume $MIB
  make_lun neighbour 16
  make_lun companion 16
  add_lun "$TARGET" 1 volume
  add_lun "$TARGET" 2 neighbour
  add_lun "$TARGET" 3 companion
  start_daemons udevd iscsid multipathd
  expect_exit 0 hawser attach --json $(lun 2 1 2)
  neighbour_map=$(readlink -f "$(field .path)")
  neighbour_map=${neighbour_map##*/}
  start_neighbour
  take_snapshot
  expect_exit 0 hawser attach --json $(lun 1 1 2 3 4)
  volume_id=$(field .id)
  expect_exit 0 hawser detach --json "$volume_id"
  check "undisturbed nothing is left" nothing_left
}
MIB=32 GROWN_MIB=40

# lun N PORTAL...: the arguments of hawser that name LUN N by these portals.
lun() {
  echo --target "$TARGET" --lun "$1" --discovery off
  shift
  printf -- '--portal 10.0.%s.2:3260\n' "$@"
}

# --- the others -----------------------------------------------------------------------------------

start_neighbour() {
  mkfifo /run/neighbour.ask /run/neighbour.say
  /mnt/tests/crash/neighbour "/dev/$neighbour_map" </run/neighbour.ask >/run/neighbour.say 2>/run/neighbour.err &
  exec {neighbour_ask}>/run/neighbour.ask {neighbour_say}</run/neighbour.say
}

# ask_neighbour: sets neighbour to what it did since it was asked last, and whether it was left in peace.
ask_neighbour() {
  local answer='' failed_paths
  tell "$neighbour_ask" ''
  read -r -t 60 -u "$neighbour_say" answer || answer=$(jq -Rsc '{error: .}' /run/neighbour.err)
  failed_paths=$(dmesg | grep -c "multipath: [0-9]*:$(cut -d: -f2 "/sys/block/$neighbour_map/dev"): Failing path") || true
  neighbour=$(jq -c --argjson failed "$failed_paths" --argjson max $NEIGHBOUR_MS_MAX \
    '. + {failed_paths: $failed} | .ok = (.error == null and .writes > 0 and .longest_ms <= $max and $failed == 0)' <<<"$answer")
  dmesg -C
}

companion() {
  local status
  while [ -e /run/companion.go ]; do
    for verb in attach detach; do
      status=0
      "$HAWSER" "$verb" --json $(lun 3 2 3 4) >/run/companion.out 2>&1 || status=$?
      [ $status -eq 0 ] || { echo "exit status $status of $verb: $(jq -c .error.message /run/companion.out)" >>/run/companion.failed; }
      echo "$verb" >>/run/companion.done
    done
  done
}
start_companion() {
  rm -f /run/companion.*
  : >/run/companion.go
  companion &
  companion_pid=$!
}
stop_companion() {
  rm /run/companion.go
  wait "$companion_pid" || true
}

# --- the operations: for each what comes before it, and itself ------------------------------------

attach_volume() {
  expect_exit 0 hawser attach --json "$@"
  path=$(readlink -f "$(field .path)")
  write_pattern "$path" 1
}

before_attach() { :; }
command_attach() { words=(attach --node-record $(lun 1 1 2 3 4)); }

before_attach-bare() { :; }
command_attach-bare() { words=(attach --multipath off $(lun 1 1 2 3 4)); }

before_detach() { attach_volume --node-record $(lun 1 1 2 3 4); }
command_detach() { words=(detach "$volume_id"); }

# Somebody has it open, or force would have nothing to do.
before_detach-force() {
  attach_volume $(lun 1 1 2 3 4)
  udevadm settle --timeout=60
  exec {opener}<"$path"
}
command_detach-force() { words=(detach --force --timeout 30 "$volume_id"); }
let_go() { [ -z "${opener:-}" ] || { exec {opener}<&-; opener=; }; }
# What an operation ends with that nobody kills: by force the map is left to whoever has it open.
usual_status() { [ "$operation" = detach-force ] && echo 2 || echo 0; }

before_resize() {
  attach_volume $(lun 1 1 2 3 4)
  set_size $GROWN_MIB
}
command_resize() { words=(resize "$volume_id"); }

before_join() { attach_volume $(lun 1 1 2 3); }
command_join() { words=(attach $(lun 1 1 2 3 4)); }

# What is recovered is an attach that was killed right before its commit, the last thing that it writes.
before_recover() {
  command_attach
  if [ -z "${attach_records:-}" ]; then
    run_undisturbed
    attach_records=$changes
    expect_exit 0 hawser detach --json "$volume_id"
    command_attach
  fi
  run_killed "before:$attach_records"
  [ "$killed" = true ] || fail "an attach has $attach_records records no longer"
}
command_recover() { words=(recover); }

# --- killing --------------------------------------------------------------------------------------

# A process group of its own: a detach has a child.
start_operation() { HAWSER_CRASH=$1 LD_PRELOAD=$hook setsid "$HAWSER" "${words[@]}" --json >/run/operation.out 2>/run/operation.err & pid=$!; }
is_over() { ! kill -0 -- "-$pid" 2>/dev/null; }

# end_operation: sets status and killed, when all of it is gone: one that sleeps in the kernel still holds
# its log.
end_operation() {
  status=0 killed=false
  wait $pid 2>/dev/null || status=$?
  wait_until 60 is_over || fail "what was killed does not die"
  [ $status -ne 137 ] || killed=true
  what=$(sed -n 's/^crash: //p' /run/operation.err)
  # The command works in a child: one that was done, or did not die with its parent, was not killed.
  [[ $what != "none in"* ]] || killed=false
}

# run_undisturbed: sets ms, and changes to those of the log.
run_undisturbed() {
  local start=$EPOCHREALTIME
  start_operation after:999999
  end_operation
  ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
  [ $status -eq "$(usual_status)" ] || { cat /run/operation.out /run/operation.err; fail "${words[0]} does not work undisturbed"; }
  changes=$(sed -n 's/^crash: none in //p' /run/operation.err)
}

# run_killed WHEN:NUMBER at a record, or run_killed MS at an instant.
run_killed() {
  local delay
  case $1 in
    *:*) start_operation "$1" ;;
    *)
      start_operation after:999999
      printf -v delay '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
      read -r -t "$delay" -u "$never" || true
      kill -KILL $pid 2>/dev/null || true
      ;;
  esac
  end_operation
}

# --- the verdict ----------------------------------------------------------------------------------

# Problems are what must not be; each is a line in /run/problems.
problem() {
  say "PROBLEM: $*"
  echo "$*" >>/run/problems
}

# check_whole: the volume is attached as it was, in every respect.
check_whole() {
  local document=/run/whole disks map paths
  "$HAWSER" show --json "$volume_id" >$document 2>&1 || { problem "show: $(<$document)"; return; }
  path=$(readlink -f "$(field .path $document)")
  map=/sys/block/${path##*/}
  paths=$(field '[.paths[]|select(.device!=null)]|length' $document)
  disks=$(field '[.paths[]|.device|select(.!=null)]|join(" ")' $document)
  [ "$(field .status $document)" = attached ] || problem "it is $(field .status $document)"
  case $operation:$paths in
    attach-bare:1) ;;
    *:4 | join:3)
      [ "$(cd "$map/slaves" && echo sd*)" = "$(tr ' ' '\n' <<<"$disks" | sort | paste -sd ' ')" ] ||
        problem "paths are $disks, in the map are $(cd "$map/slaves" && echo *)"
      [ "$(<"$map/dm/suspended")" = 0 ] || problem "the map is suspended"
      ;;
    *) problem "it has $paths paths" ;;
  esac
  case $operation:$(($(<"$map/size") / 2048)) in
    *:$MIB | resize:$GROWN_MIB) ;;
    *) problem "it has $(<"$map/size") sectors" ;;
  esac
  case $operation in attach* | recover) write_pattern "$path" 1 ;; esac
  read_pattern "$path" || problem "it does not have what was written to it"
}

# What was interrupted can be done again.
check_grows() {
  "$HAWSER" resize --json "$volume_id" >/run/grown 2>&1 || problem "resize: $(<"/run/grown")"
  equal "$(<"/sys/block/${path##*/}/size")" $((GROWN_MIB * 2048)) || problem "it does not grow"
}

is_listed() { "$HAWSER" list --json | jq -e --arg id "$volume_id" 'any(.[]; .id == $id)' >/dev/null; }

# prepare_operation OPERATION: how long it takes and what it writes, undisturbed; the host is as before then.
prepare_operation() {
  operation=$1
  : >/run/problems
  "before_$operation"
  "command_$operation"
  run_undisturbed
  usual_ms=$ms
  [ "${changes:-0}" -gt 0 ] || fail "$operation: no change of its log was seen"
  say "$operation: $changes changes of the log, $ms ms"
  clean_up
  [ ! -s /run/problems ] && nothing_left || fail "$operation leaves something undisturbed"
}

# clean_up: back to the state before, by what a user does. Sets became to what the volume was then, and
# recover_ms.
clean_up() {
  local start=$EPOCHREALTIME status=0
  let_go
  "$HAWSER" recover --json >/run/recovered 2>&1 || status=$?
  recover_ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
  [ $status -eq 0 ] || problem "recover: exit status $status: $(<"/run/recovered")"
  became=gone
  if is_listed; then
    became=attached
    check_whole
    [ "$operation" != resize ] || check_grows
    [ -z "$(field '(.undone + .completed)[]' /run/recovered)" ] || problem "it is attached, and recover says $(</run/recovered)"
    "$HAWSER" detach --json "$volume_id" >/run/detached 2>&1 || problem "detach: $(<"/run/detached")"
  else
    [ -z "$(field '.kept[]' /run/recovered)" ] || problem "it is gone, and recover says $(</run/recovered)"
  fi
  set_size $MIB
}

# crash_cycle ALONE|BESIDE WHEN:NUMBER|MS: appends a line to /mnt/results/cycles.jsonl. False if something
# was left or is not as it has to be.
crash_cycle() {
  local beside=$1 kill=$2 companions='null' leftovers
  : >/run/problems
  udevadm settle --timeout=60
  [ "$beside" = alone ] || start_companion
  "before_$operation"
  "command_$operation"
  run_killed "$kill"
  [ $status -eq 137 ] || [ $status -eq "$(usual_status)" ] || problem "exit status $status: $(<"/run/operation.out")"
  clean_up
  if [ "$beside" = beside ]; then
    stop_companion
    companions=$(jq -Rsc --argjson calls "$(wc -l </run/companion.done)" '{calls: $calls, failed: (. / "\n" | map(select(. != "")))}' \
      <<<"$(cat /run/companion.failed 2>/dev/null)")
    [ ! -e /run/companion.failed ] || problem "the companion failed"
  fi
  nothing_left || true
  leftovers=$(sed -n 's/^[<>]/&/p' /run/differences | jq -Rcn '[inputs]')
  ask_neighbour
  jq -cn --arg operation "$operation" --arg beside "$beside" --arg kill "$kill" --arg what "$what" --argjson killed "$killed" \
    --argjson recover_ms "$recover_ms" --arg became "$became" --argjson leftovers "$leftovers" --argjson neighbour "$neighbour" \
    --argjson companion "$companions" --slurpfile recovered /run/recovered --rawfile problems /run/problems \
    '{operation: $operation, beside: ($beside == "beside"), kill: $kill, what: $what, killed: $killed,
      recovered: (if $recovered[0].undone[0]? then "undone" elif $recovered[0].completed[0]? then "completed" elif $recovered[0].kept[0]? then "kept" else "nothing" end),
      recover_ms: $recover_ms, became: $became, leftovers: $leftovers, problems: ($problems / "\n" | map(select(. != ""))),
      neighbour: $neighbour, companion: $companion}
    | .ok = (.leftovers == [] and .problems == [] and .neighbour.ok)' >/run/cycle
  cat /run/cycle >>/mnt/results/cycles.jsonl
  say "$(</run/cycle)"
  jq -e .ok /run/cycle >/dev/null
}

# point N: the N-th instant at a record: before the first, after the first, before the second...
point() {
  if [ $(($1 % 2)) -eq 0 ]; then echo "before:$(($1 / 2 + 1))"; else echo "after:$(($1 / 2 + 1))"; fi
}
