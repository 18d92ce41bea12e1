# Kills one operation at every record of its log, or at random instants, until one leaves something. LAB_CRASH
# is OPERATION:alone|beside:records:FIRST or OPERATION:alone|beside:instants:HOW_MANY:SEED. Not a test;
# tests/crash runs it.
. /mnt/tests/crash/cycle.sh
IFS=: read -r operation beside how number seed <<<"$LAB_CRASH"
prepare_crashes "${seed:-1}"
prepare_operation "$operation"
case $how in
  records)
    # One that survives has no record of that number.
    killed=true
    for ((n = number; ; n++)); do
      crash_cycle "$beside" "$(point $n)" || break
      [ "$killed" = true ] || break
    done
    # Each change is a place to be killed at, before it and after it; how many there are differs by one in eight at most.
    [ "$killed" = true ] || [ $n -ge $((2 * changes - changes / 4)) ] || fail "only $n places were come to, of about $((2 * changes))"
    ;;
  instants)
    for ((n = 0; n < number; n++)); do
      crash_cycle "$beside" $(((RANDOM * 32768 + RANDOM) % (usual_ms * 11 / 10))) || break
    done
    ;;
esac
