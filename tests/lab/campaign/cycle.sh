# One cycle of the campaign: a subject attaches, the device is checked, it detaches, and what is left is
# counted, under one fault. Sourced by scenarios, in the words of guest/lib.sh.
#
# A subject is a program that reads lines "attach VOLUME..." and "detach VOLUME..." (volume n is LUN n of
# $TARGET on the four portals 10.0.1.2 to 10.0.4.2), does them for all volumes at once, and answers with one
# line: a JSON array of {"volume", "ok", "path", "error", ...}. It has the environment TARGET and HAWSER.

. /mnt/tests/campaign/faults.sh

# prepare_campaign SUBJECT FAULT BOUND: storage, daemons, and the subject.
prepare_campaign() {
  local n configuration policy=''
  subject=$1 fault=$2 bound=$3
  volumes=(1)
  case $fault in eight*) volumes=(1 2 3 4 5 6 7 8) ;; esac
  make_portals 4
  make_target "$TARGET"
  for n in "${volumes[@]}"; do
    make_lun "volume$n" 32
    add_lun "$TARGET" "$n" "volume$n"
  done
  # Debian's, for everybody.
  configuration=$(</mnt/host-etc/iscsi/iscsid.conf)
  [ "$subject" != os-brick-tuned ] || configuration+=$'\nnode.session.initial_login_retry_max = 1
node.conn[0].timeo.login_timeout = 5\n'
  case $fault in dirty-*) policy="overrides {"$'\n'"no_path_retry ${fault#dirty-}"$'\n'"}" ;; esac
  start_udevd
  start_iscsid "$configuration"
  start_multipathd no "$policy"
  take_snapshot
  start_subject
}

start_subject() {
  local program
  case $subject in
    hawser) program=(hawser) ;;
    hawser-min1) program=(hawser --min-paths 1 --grace 0) ;;
    os-brick | os-brick-tuned) program=(os_brick) ;;
    shell) program=(shell) ;;
    *) fail "there is no subject $subject" ;;
  esac
  export TARGET HAWSER
  rm -f /run/requests /run/answers
  mkfifo /run/requests /run/answers
  setsid "/mnt/tests/campaign/subjects/${program[0]}" "${program[@]:1}" \
    </run/requests >/run/answers 2>>/mnt/results/subject.log &
  subject_pid=$!
  exec {requests}>/run/requests {answers}</run/answers
  # It is up when it answers.
  in_time=true
  ask attach
  equal "$answer" '[]' || fail "the subject did not start: '$answer'"
}

# ask VERB VOLUME...: sets answer, and what it cost: ms, in the whole guest processes and cpu_ms, and
# own_ms of these in the subject and the programs that it started. One that is not back within the bound
# is given up: in_time is false, and nothing more is asked of it, since its answer may come yet.
ask() {
  local start processes_before cpu_before own_before
  read_counters
  processes_before=$processes cpu_before=$cpu_ms own_before=$own_ms start=$EPOCHREALTIME
  $in_time && tell "$requests" "$*" && read -r -t "$bound" -u "$answers" answer ||
    { in_time=false answer="[{\"ok\": false, \"error\": \"no answer within $bound s\"}]"; }
  ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
  read_counters
  processes=$((processes - processes_before)) cpu_ms=$((cpu_ms - cpu_before)) own_ms=$((own_ms - own_before))
}

read_counters() {
  local key user nice system idle iowait irq softirq stat _
  while read -r key user nice system idle iowait irq softirq _; do
    case $key in
      cpu) cpu_ms=$(((user + nice + system + irq + softirq) * 10)) ;;
      processes) processes=$user ;;
    esac
  done </proc/stat
  # utime, stime, and those of its children that have ended. Its name has no space. One that has died has
  # no answer either.
  read -ra stat <"/proc/$subject_pid/stat" || stat=()
  own_ms=$(((stat[13] + stat[14] + stat[15] + stat[16]) * 10))
}

# paths_of DEVICE...: the fewest that the map of one of them has; 0 for what is no map.
paths_of() {
  local device slaves
  paths=
  for device in "$@"; do
    slaves=("/sys/block/${device##*/}/slaves"/sd*)
    [ -e "${slaves[0]}" ] || slaves=()
    [ -n "$paths" ] && [ "${#slaves[@]}" -ge "$paths" ] || paths=${#slaves[@]}
  done
}
is_map() {
  local uuid=/sys/block/${1##*/}/dm/uuid
  [ -e "$uuid" ] && [[ $(<"$uuid") == mpath-* ]]
}

# bounded_job SECONDS command...: false if it fails or is not done by then. It is let go then, which takes
# healthy paths: the next call is not to find the device in use by us.
bounded_job() {
  local job
  ("${@:2}") &
  job=$!
  if ended_within "$1" $job; then
    wait $job
    return
  fi
  heal
  ended_within "$bound" $job || say "the job still runs after $bound s without a fault: ${*:2}"
  udevadm settle --timeout=60
  plant
  return 1
}
# device_works DEVICE VOLUME: what is written is read back, and is on the target.
device_works() {
  write_pattern "$1" 1 && read_pattern "$1" && cmp -s -n 1048576 /run/pattern "/dev/shm/volume$2.img"
}

arrived() { cmp -s -n "$(stat -c %s /run/dirty)" /run/dirty /dev/shm/volume1.img; }

# left_after SECONDS: what is there and was not, once udev has had that long, is added to leftovers.
left_after() {
  for ((n = $1 * 10; n > 0; n--)); do differences >/run/differences && break || nap; done
  leftovers=$(sed -n 's/^[<>] //p' /run/differences | jq -Rc --argjson before "$leftovers" -n '[$before[], inputs] | unique')
}

# cycle: appends one line to /mnt/results/cycles.jsonl. False if the guest is not as it was before.
cycle() {
  local record='{}' devices=() device attached started
  note() { record=$(jq -c "$@" <<<"$record"); }
  udevadm settle --timeout=120
  plant

  ask attach "${volumes[@]}"
  started=$SECONDS
  mapfile -t devices < <(jq -r '.[] | select(.ok) | .path' <<<"$answer")
  for n in "${!devices[@]}"; do devices[n]=$(readlink -f "${devices[n]}"); done
  paths_of ${devices[@]+"${devices[@]}"}
  attached=false
  [ ${#devices[@]} -eq ${#volumes[@]} ] && attached=true
  note --argjson ok $attached --argjson answer "$answer" --argjson ms $ms --argjson processes "$processes" \
    --argjson cpu_ms $cpu_ms --argjson own_ms $own_ms --argjson paths "${paths:-null}" --argjson in_time $in_time \
    '.attach = {ok: $ok, in_time: $in_time, ms: $ms, processes: $processes, cpu_ms: $cpu_ms, own_ms: $own_ms,
      paths: $paths,
      each_ms: [$answer[].elapsed_ms],
      error: ([$answer[].error | select(. != null and . != "") | if type == "object" then "\(.code): \(.message)" else . end] | first)}'

  if $attached; then
    local map=true works=true
    for n in "${!devices[@]}"; do
      is_map "${devices[n]}" || map=false
      bounded_job 120 device_works "${devices[n]}" "${volumes[n]}" || works=false
    done
    while [ $((SECONDS - started)) -lt 5 ]; do nap; done
    paths_of "${devices[@]}"
    note --argjson map $map --argjson works $works --argjson paths "$paths" \
      '.map = $map | .device_works = $works | .paths_later = $paths'

    strike "${devices[0]}"
    detach_measured
    # What a caller does who was told that it failed: tries again, the fault being over.
    if $wrote; then
      heal
      wait_until 10 arrived || true
      for n in 1 2; do [ "$detached" = true ] || detach_measured; done
      local lost=true
      ! arrived || lost=false
      note --argjson lost $lost '.data_lost = $lost | .lost_in_silence = ($lost and (.detaches | length == 1 and .[0].ok))'
    fi
  fi

  # Also what shows only when the fault is over, as a session does that iscsid has gone on trying for.
  leftovers='[]'
  left_after 10
  heal
  $attached || for n in {1..50}; do nap; done
  left_after 10
  note --arg subject "$subject" --arg fault "$fault" --argjson leftovers "$leftovers" --argjson bound "$bound" \
    '{subject: $subject, scenario: $fault, ran: true, bound_s: $bound} + .
      + {wwids_left: ($leftovers | map(select(startswith("wwid "))) | length),
         leftovers: ($leftovers | map(select(startswith("wwid ") | not)))}'
  echo "$record" >>/mnt/results/cycles.jsonl
  say "$record"
  # An entry of wwids stands for nothing in the kernel.
  [ ! -e /etc/multipath/wwids ] || sed -i '/^\//d' /etc/multipath/wwids
  leftovers='[]'
  left_after 1
  $in_time && [ "$leftovers" = '[]' ]
}

detach_measured() {
  ask detach "${volumes[@]}"
  detached=$(jq 'all(.[]; .ok)' <<<"$answer")
  note --argjson ok "$detached" --argjson answer "$answer" --argjson ms $ms --argjson processes "$processes" \
    --argjson cpu_ms $cpu_ms --argjson own_ms $own_ms --argjson in_time $in_time \
    '.detaches += [{ok: $ok, in_time: $in_time, ms: $ms, processes: $processes, cpu_ms: $cpu_ms, own_ms: $own_ms,
      each_ms: [$answer[].elapsed_ms],
      error: ([$answer[].error | select(. != null and . != "") | if type == "object" then "\(.code): \(.message)" else . end] | first)}]'
}
