# Random operations over eight volumes of two targets, at four portals, by one process, under random faults:
# nothing is left, every volume has what was written to it, and the process grows in no respect. A short run of
# what tests/soak does for an hour.
# Keeps: A1
. /mnt/tests/soak/rounds.sh
prepare_soak 1 2 4
for seconds in 30 30; do check "a round leaves nothing, and all is as it has to be" soak_round $seconds; done
check "volumes were attached, used and detached" has_worked
check "memory, descriptors and threads are flat" is_flat
check "every call came back in time" is_in_time
