# Killed right before or right after records of its log, beside a hawser that works on another volume of the
# target, and a third volume that is written to: a short run of what tests/crash does at every record.
. /mnt/tests/crash/cycle.sh
prepare_crashes

# crash OPERATION ALONE|BESIDE FIRST STEP: every STEP-th instant at a record, until one survives.
crash() {
  local n kills=0
  prepare_operation "$1"
  for ((n = $3; ; n += $4)); do
    check "nothing of $1 $2 is left, killed $(point $n)" crash_cycle "$2" "$(point $n)"
    [ "$killed" = true ] || break
    kills=$((kills + 1))
  done
  check "$1 was killed in the middle" test $kills -ge 2
}
crash attach alone 7 15
crash attach beside 22 15
crash detach alone 1 9
crash resize beside 1 2
