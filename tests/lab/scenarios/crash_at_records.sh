# Killed right before or right after some records of its log, and at an instant, alone and beside a hawser
# that works on another volume of the target, while a third volume is written to and verified: nothing is
# left, and nobody else notices. A short run of what tests/crash does at every record.
# Keeps: A1, D9
. /mnt/tests/crash/cycle.sh
prepare_crashes

# crash OPERATION ALONE|BESIDE INSTANT...
crash() {
  local instant
  operation=$1
  for instant in "${@:3}"; do
    check "nothing of $1 $2 is left, killed at $instant" crash_cycle "$2" "$instant"
    check "it was killed" equal "$killed" true
  done
}
# The instants in the middle of logins and scans, around the map, and right before and after the point of no
# return.
crash attach alone before:14 after:20 before:27 700
crash attach beside after:16 before:31
crash detach alone before:2 after:2 after:6
crash resize alone after:1
